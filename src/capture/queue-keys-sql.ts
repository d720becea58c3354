import { queueTable } from './capture-names.ts';
import type { QueueColumn, QueueLayout } from './queue-layout.ts';

/** Keys in one queue row: long enough that the row's overhead vanishes, short enough that no value grows with the statement. */
const keysPerRow = 1000;

export interface QueuedKeys {
  readonly tableId: string;
  readonly layout: QueueLayout;
  readonly from: string;
  /** SQL: whether the statement inserted the keys. */
  readonly inserted: string;
}

/**
 * Statement that queues the keys of all rows of a from-item (a table, transition table or query in parentheses, without alias),
 * and writes nothing when it has none. Qualified throughout: its meaning does not depend on `search_path`.
 */
export function queueKeysSql(options: QueuedKeys): string {
  const { tableId, layout, from } = options;
  const target = `${queueTable(tableId)} (inserted, ${list(layout, (column) => column.name)})`;
  if (!layout.packed)
    return `insert into ${target} select ${options.inserted}, ${list(layout, (column) => keyValue('c', column))} from ${from} c`;
  return `insert into ${target}
    select ${options.inserted}, ${list(layout, (column) => `pg_catalog.array_agg(s.${column.name})`)}
    from (
      select ${list(layout, (column) => `${keyValue('c', column)} as ${column.name}`)},
        (pg_catalog.row_number() over () operator(pg_catalog.-) 1) operator(pg_catalog./) ${keysPerRow} as chunk
      from ${from} c
    ) s
    group by s.chunk`;
}

/** The same for a from-item of at most one row: 5 µs less than the general form. */
export function queueOneKeySql({ tableId, layout, from, inserted }: QueuedKeys): string {
  const values = list(layout, (column) => boxed(layout, keyValue('c', column)));
  return `insert into ${queueTable(tableId)} (inserted, ${list(layout, (column) => column.name)}) select ${inserted}, ${values} from ${from} c`;
}

/** Statement that queues the key of the trigger's `old` row. */
export function queueOldKeySql(tableId: string, layout: QueueLayout): string {
  const values = list(layout, (column) => boxed(layout, keyValue('old', column)));
  return `insert into ${queueTable(tableId)} (${list(layout, (column) => column.name)}) values (${values})`;
}

/** Statement that queues "rows may be gone that no key tells of": what a TRUNCATE leaves. */
export function queueMarkerSql(tableId: string): string {
  return `insert into ${queueTable(tableId)} (truncated) values (true)`;
}

function boxed(layout: QueueLayout, value: string): string {
  return layout.packed ? `array[${value}]` : value;
}

function keyValue(alias: string, column: QueueColumn): string {
  return `${alias}.${column.source}${column.cast}`;
}

function list(layout: QueueLayout, show: (column: QueueColumn) => string): string {
  return layout.columns.map(show).join(', ');
}
