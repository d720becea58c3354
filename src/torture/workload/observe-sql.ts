import { literal, tableIdent } from '../../db/quote.ts';
import { showTable } from '../../core/route.ts';
import { replicatorName } from '../../core/replicator-name.ts';
import { microsecondsSql, nextVersionSql } from '../../versions/version-sql.ts';
import { sidecarName } from '../../versions/versioned-table.ts';
import type { TortureTable } from './tables-sql.ts';

/** A table at one node, as its own catalog knows it. */
export interface ObservedTable extends TortureTable {
  /** `pgrep.captured_table.table_id` there. */
  readonly tableId: string;
}

/**
 * DDL, for a node that replicates the tables: `pgrep_torture.commit` gets a row for each version of each key in the transaction that
 * makes it, so that the log is right whatever is killed. Writers call `log_commit()` last; a trigger adds what pgrep itself gives
 * a new version (step f). Triggers give each written row its tag; an update that
 * changes nothing leaves the row as it is, tag and all.
 *
 * Versions are read as the rows of the queue hold them. Their clock is the node's, plus `clock_offset` microseconds: the column's
 * default is replaced. That needs no library in front of the server and can be stepped at any moment.
 */
export function observeSql(node: string, nodeId: number, observed: readonly ObservedTable[]): string {
  return [
    schemaSql,
    lingerSql,
    tagSql(node),
    ...observed.flatMap((table) => [
      noteSql(table),
      triggersSql(table),
      freshSql(table, nodeId),
      clockSql(table, nodeId),
    ]),
    beforeTruncateSql(observed),
    logCommitSql(observed),
  ].join(';\n');
}

const schemaSql = `create schema pgrep_torture;
create sequence pgrep_torture.clock_offset as bigint minvalue -3600000000 maxvalue 3600000000 start 1;
select pg_catalog.setval('pgrep_torture.clock_offset', 0);
create sequence pgrep_torture.tag as bigint;
create sequence pgrep_torture.ordinal as bigint;
create unlogged table pgrep_torture.touched (place bigint generated always as identity, xid xid8 not null, table_name text not null, key text[] not null, old_tag text);
create index touched_xid on pgrep_torture.touched (xid);
create table pgrep_torture.commit (
  ordinal bigint not null,
  xid bigint not null,
  kind text not null,
  table_name text not null,
  -- null: every key that has no row of its own in the transaction (TRUNCATE)
  key text[],
  version bigint not null,
  -- null: the key is absent
  tag text,
  -- what the transaction found; null: the key was absent
  old_tag text,
  -- version of what the transaction found; 0: none was known
  seen bigint not null
)`;

/**
 * Now and then a batch dawdles between the judgement of its rows and their merge, as on a busy server: the statement that judges inserts
 * into pgrep.conflict, if only nothing. Time for the application, and for other links, to come in between.
 */
const lingerSql = `create function pgrep_torture.linger() returns trigger language plpgsql as $$
begin
  if pg_catalog.random() < 0.2 then
    perform pg_catalog.pg_sleep(pg_catalog.random() * 0.06);
  end if;
  return null;
end $$;
create trigger torture_linger before insert on pgrep.conflict for each statement execute function pgrep_torture.linger();
alter table pgrep.conflict enable always trigger torture_linger`;

function tagSql(node: string): string {
  return `create function pgrep_torture.give_tag() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new operator(pg_catalog.*=) old then
      return new;
    end if;
  end if;
  new.tag := ${literal(`${node}.`)} || pg_catalog.nextval('pgrep_torture.tag');
  return new;
end $$`;
}

function keyOf(alias: string, { key }: TortureTable): string {
  return `array[${key.map((column) => `${alias}.${column}::text`).join(', ')}]`;
}

/** Notes the keys that a row's change touches, and what was there before. */
function noteSql(table: ObservedTable): string {
  const note = (row: string, tag: string): string =>
    `insert into pgrep_torture.touched (xid, table_name, key, old_tag) values (pg_catalog.pg_current_xact_id(), ${literal(showTable(table.table))}, ${keyOf(row, table)}, ${tag})`;
  return `create function pgrep_torture.note_${table.tableId}() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    ${note('new', 'null')};
  elsif tg_op = 'DELETE' then
    ${note('old', 'old.tag')};
  elsif ${keyOf('new', table)} = ${keyOf('old', table)} then
    ${note('old', 'old.tag')};
  else
    ${note('old', 'old.tag')};
    ${note('new', 'null')};
  end if;
  return null;
end $$`;
}

function triggersSql({ table, tableId }: ObservedTable): string {
  const own = `when (pg_catalog.current_setting('application_name') <> ${literal(replicatorName)})`;
  return `create trigger torture_tag before insert or update on ${tableIdent(table)} for each row ${own} execute function pgrep_torture.give_tag();
create trigger torture_note after insert or update or delete on ${tableIdent(table)} for each row ${own} execute function pgrep_torture.note_${tableId}()`;
}

/** A version of this node that a replayer's own transaction writes is one that pgrep gave (step f). */
function freshSql(table: ObservedTable, nodeId: number): string {
  const { tableId } = table;
  const names = table.key.map((_, place) => `new.k${place + 1}`);
  const same = table.key.map((column, place) => `t.${column} = new.k${place + 1}`).join(' and ');
  const row = `(select t.tag from ${tableIdent(table.table)} t where ${same})`;
  return `create function pgrep_torture.fresh_${tableId}() returns trigger language plpgsql as $$
begin
  insert into pgrep_torture.commit (ordinal, xid, kind, table_name, key, version, tag, old_tag, seen)
  values (pg_catalog.nextval('pgrep_torture.ordinal'), new.xid, 'fresh', ${literal(showTable(table.table))},
    array[${names.map((name) => `${name}::text`).join(', ')}], new.version, ${row}, ${row}, 0);
  return null;
end $$;
create trigger torture_fresh after insert or update on ${sidecarName(tableId)} for each row
  when ((new.version & 255) = ${nodeId} and new.xid = pg_catalog.pg_current_xact_id()::text::bigint) execute function pgrep_torture.fresh_${tableId}();
alter table ${sidecarName(tableId)} enable always trigger torture_fresh`;
}

function clockSql({ tableId }: ObservedTable, nodeId: number): string {
  const now = `${microsecondsSql} + pg_catalog.pg_sequence_last_value('pgrep_torture.clock_offset')`;
  return `alter table pgrep.queue_${tableId} alter column version set default ${nextVersionSql(String(nodeId), null, now)}`;
}

/** Takes the locks of the TRUNCATE that follows and notes what it will find. */
function beforeTruncateSql(observed: readonly ObservedTable[]): string {
  const notes = observed.map(
    (table) =>
      `insert into pgrep_torture.touched (xid, table_name, key, old_tag) select pg_catalog.pg_current_xact_id(), ${literal(showTable(table.table))}, ${keyOf('t', table)}, t.tag from ${tableIdent(table.table)} t`,
  );
  return `create function pgrep_torture.before_truncate() returns void language plpgsql as $$
begin
  lock table ${observed.map(({ table }) => tableIdent(table)).join(', ')} in access exclusive mode;
  ${notes.join(';\n  ')};
end $$`;
}

function logCommitSql(observed: readonly ObservedTable[]): string {
  return `create function pgrep_torture.log_commit() returns void language plpgsql as $$
declare
  self constant xid8 := pg_catalog.pg_current_xact_id();
  place constant bigint := pg_catalog.nextval('pgrep_torture.ordinal');
begin
  ${observed.map(logTableSql).join('\n  ')}
  delete from pgrep_torture.touched where xid = self;
end $$`;
}

/** A key that was touched but has no row in the queue gets version null here, which the log refuses: G1 would be broken. */
function logTableSql(table: ObservedTable): string {
  const { tableId } = table;
  const name = literal(showTable(table.table));
  const names = table.key.map((_, place) => `k${place + 1}`);
  const sidecarKey = `array[${names.map((key) => `rv.${key}::text`).join(', ')}]`;
  return `with folded as (
    select v.folded as snapshot, v.floor_version from pgrep.versioned_table v where v.table_id = ${tableId}
  ), queued as materialized (
    select q.xid = self as own, q.truncated, q.version, ${names.map((key) => `q.${key}`).join(', ')}
    from pgrep.queue_${tableId} q, folded f
    where q.from_node is null and (q.xid >= pg_catalog.pg_snapshot_xmax(f.snapshot) or q.xid = any (array(select pg_catalog.pg_snapshot_xip(f.snapshot))))
  ), keyed as materialized (
    select array[${names.map((key) => `k.${key}::text`).join(', ')}] as key, pg_catalog.max(q.version) filter (where q.own) as own, pg_catalog.max(q.version) filter (where not q.own) as others
    from queued q cross join lateral rows from (${names.map((key) => `pg_catalog.unnest(q.${key})`).join(', ')}) k (${names.join(', ')})
    where not q.truncated group by 1
  ), floors as (
    select pg_catalog.max(q.version) filter (where q.own and q.truncated) as own,
      greatest(pg_catalog.max(q.version) filter (where not q.own and q.truncated), (select f.floor_version from folded f)) as others from queued q
  ), touched as (
    select distinct on (t.key) t.key, t.old_tag from pgrep_torture.touched t where t.xid = self and t.table_name = ${name} order by t.key, t.place
  ), versions as (
    select t.key, t.old_tag, r.tag, greatest(k.own, f.own) as own, greatest(k.others, rv.version, f.others, 0) as others
    from touched t cross join floors f
    left join keyed k on k.key = t.key
    left join ${tableIdent(table.table)} r on ${keyOf('r', table)} = t.key
    left join ${sidecarName(tableId)} rv on ${sidecarKey} = t.key
    union all
    select null, null, null, f.own, 0 from floors f where f.own is not null
  )
  insert into pgrep_torture.commit (ordinal, xid, kind, table_name, key, version, tag, old_tag, seen)
  select place, self::text::bigint, case when v.key is null then 'truncate' else 'write' end, ${name}, v.key,
    case when v.own is not null then greatest(v.own, v.others) end, v.tag, v.old_tag, v.others from versions v;`;
}
