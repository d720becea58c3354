import { keysOf, floorSql, stampSql } from './version-sql.ts';
import type { VersionedTable } from './versioned-table.ts';

/** `pgrep.changed_7`, see `changedFunctionSql`. */
export function changedFunction(tableId: string): string {
  return `pgrep.changed_${tableId}`;
}

/** `pgrep.floor_7`: gives the table's truncate floor, a bigint[] of version and transaction. */
export function floorFunction(tableId: string): string {
  return `pgrep.floor_${tableId}`;
}

/** DDL of `floorFunction`. */
export function floorFunctionSql(table: VersionedTable): string {
  return `create or replace function ${floorFunction(table.tableId)}() returns bigint[] language plpgsql stable as $pgrep$
begin
  return (${floorSql(table)});
end
$pgrep$`;
}

/**
 * DDL of the function that gives the distinct keys that a two-way route has to send: those in the queue that `seen` has not seen, of
 * transactions before `cutoff` (null: all). With each goes what tells its version: `version` and `xid`, its transaction, of the
 * newest local change, also of those that are taken later, since the row is read as it is now (null: none is left in the
 * queue), `unfolded`, the version of the newest one that is not folded yet (null: none), and `was_inserted`. `foreign_too`: the row is sent also where its version is another node's; otherwise that one sends it, and
 * knows what it has seen. What arrived from others goes on only to where it did not come from, and only with `forwards_to`, the
 * target's node id. A function, because PostgreSQL would plan the query anew for each COPY: some ms for a single row.
 */
export function changedFunctionSql(table: VersionedTable): string {
  const { tableId } = table;
  const keys = table.key.map(({ name }) => `k.${name}`).join(', ');
  const returned = table.key.map(({ name, type }) => `${name} ${type.replace(/ collate .*$/, '')}`).join(', ');
  return `create or replace function ${changedFunction(tableId)}(seen pg_snapshot, cutoff xid8, forwards_to smallint)
returns table (${returned}, version bigint, xid bigint, unfolded bigint, was_inserted boolean, foreign_too boolean) language plpgsql stable as $pgrep$
#variable_conflict use_column
declare
  self constant smallint := (select n.node_id from pgrep.node n where n.is_self);
  folded constant pg_snapshot := (select v.folded from pgrep.versioned_table v where v.table_id = ${tableId});
  least_xid constant xid8 := least(pg_catalog.pg_snapshot_xmax(seen), pg_catalog.pg_snapshot_xmax(folded));
  seen_xmax constant xid8 := pg_catalog.pg_snapshot_xmax(seen);
  seen_xip constant xid8[] := array(select pg_catalog.pg_snapshot_xip(seen));
  folded_xmax constant xid8 := pg_catalog.pg_snapshot_xmax(folded);
  folded_xip constant xid8[] := array(select pg_catalog.pg_snapshot_xip(folded));
  open_xids constant xid8[] := seen_xip || folded_xip;
begin
  return query
  select ${table.key.map(({ name }) => `c.${name}`).join(', ')}, c.stamp[1], c.stamp[2], c.unfolded, c.was_inserted, c.foreign_too
  from (select ${keys}, pg_catalog.max(q.stamp) as stamp, pg_catalog.max(q.unfolded) as unfolded, pg_catalog.bool_or(q.inserted) as was_inserted,
      forwards_to is not null or pg_catalog.bool_or(q.from_self) as foreign_too
    from (select ${table.key.map(({ name }) => `n.${name}`).join(', ')}, case when n.from_node is null then ${stampSql('n')} end as stamp,
        case when n.from_node is null and (n.xid >= folded_xmax or n.xid = any (folded_xip)) then n.version end as unfolded, n.inserted and n.from_node is null as inserted,
        n.is_new and n.from_node is not distinct from self as from_self,
        n.is_new and (cutoff is null or n.xid < cutoff) and (n.from_node is null or n.from_node = self or n.from_node <> forwards_to) as due
      from (select q.*, (q.xid >= seen_xmax or q.xid = any (seen_xip)) as is_new from pgrep.queue_${tableId} q
        where (q.xid >= least_xid or q.xid = any (open_xids)) and not q.truncated) n offset 0) q cross join lateral ${keysOf(table)}
    group by ${keys} having pg_catalog.bool_or(q.due)) c;
end
$pgrep$`;
}
