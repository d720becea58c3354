import type { TableName } from '../../core/route.ts';

/** A table that torture writes to. */
export interface TortureTable {
  readonly table: TableName;
  /** Key columns in key order. */
  readonly key: readonly string[];
}

const schema = 'torture';

/** The tables, parents first. */
export const tables: readonly TortureTable[] = [
  { table: { schema, name: 'parent' }, key: ['id'] },
  { table: { schema, name: 'child' }, key: ['id', 'part'] },
];

/** One that only two nodes exchange: their links carry it apart from the others. It is not judged, but that it arrives. */
export const asideTable: TableName = { schema, name: 'aside' };

/**
 * DDL of the tables. Each write gives its row a `tag` that no other write has (a trigger, see observe-sql): by it a row's
 * version is known again at every node.
 */
export const createTablesSql = `create schema torture;
create table torture.parent (
  id integer not null,
  tag text not null default '',
  n bigint not null default 0,
  note text,
  constraint parent_pk primary key (id)
);
create table torture.child (
  id integer not null,
  part text not null,
  parent_id integer,
  tag text not null default '',
  amount numeric(12, 2),
  constraint child_pk primary key (id, part),
  constraint child_parent_fk foreign key (parent_id) references torture.parent (id) on update cascade on delete cascade
);
create index child_parent on torture.child (parent_id);
create table torture.aside (id integer not null, n bigint not null default 0, constraint aside_pk primary key (id));`;
