import type pg from 'pg';

/** The table that every workload writes: a bigint key, a text of some sixty bytes, a counter and a time. */
export const createItem: readonly string[] = [
  'create schema bench',
  `create table bench.item (
     id bigint not null,
     info text not null,
     n integer not null,
     crt_time timestamp not null default clock_timestamp(),
     constraint item_pk primary key (id))`,
];

/** A table of the same columns that never holds a row. */
export const createEmpty = 'create table bench.empty (like bench.item including all)';

/** Inserts rows 1 to $1 in one statement, the same ones each time. */
export const insertRows = `insert into bench.item (id, info, n, crt_time)
  select g, 'row of a bulk insert, a text of some sixty bytes, number ' || g, 0,
         timestamp '2025-01-01' + g * interval '1 second'
  from generate_series(1, $1::bigint) as g`;

/** Changes every row, no key; `n` becomes 1. */
export const updateRows = `update bench.item set info = 'row of a bulk update, a text of some sixty bytes, number ' || id, n = n + 1`;

/** A table's size and a sum over all values, equal exactly when the tables are (but for a chance of 2^-64). */
export async function checksum(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ sum: string }>(
    `select count(*) || ' rows, checksum ' || coalesce(sum(hashtextextended(item::text, 0)::numeric), 0) as sum
     from bench.item`,
  );
  return rows[0]?.sum ?? '';
}
