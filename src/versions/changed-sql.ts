import { floorSql, keysOf, selfSql, stampSql } from './version-sql.ts';
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

/** What `changedKeysSql` is about, as SQL: variables of the function, or values. */
interface ChangedTerms {
  /** This node's id. */
  readonly self: string;
  /** What the target has seen: `xmax` (xid8) and `xip` (xid8[]) of the snapshot. */
  readonly seen: Readonly<Record<'xmax' | 'xip', string>>;
  /** The same of what is folded. */
  readonly folded: Readonly<Record<'xmax' | 'xip', string>>;
  /** The lower of both `xmax`, and both `xip`. */
  readonly either: Readonly<Record<'xmax' | 'xip', string>>;
  readonly cutoff: string;
  readonly forwardsTo: string;
}

/**
 * DDL of the function that gives the distinct keys that a two-way route has to send, see `changedKeysSql`. A function, because PostgreSQL would plan the
 * query anew for each COPY: some ms for a single row.
 */
export function changedFunctionSql(table: VersionedTable): string {
  const { tableId } = table;
  const returned = table.key.map(({ name, type }) => `${name} ${type.replace(/ collate .*$/, '')}`).join(', ');
  const keys = changedKeysSql(table, {
    self: 'self',
    seen: { xmax: 'seen_xmax', xip: 'seen_xip' },
    folded: { xmax: 'folded_xmax', xip: 'folded_xip' },
    either: { xmax: 'least_xid', xip: 'open_xids' },
    cutoff: 'cutoff',
    forwardsTo: 'forwards_to',
  });
  return `create or replace function ${changedFunction(tableId)}(seen pg_snapshot, cutoff xid8, forwards_to smallint)
returns table (${returned}, version bigint, xid bigint, unfolded bigint, was_inserted boolean, foreign_too boolean) language plpgsql stable as $pgrep$
#variable_conflict use_column
declare
  self constant smallint := ${selfSql};
  folded constant pg_snapshot := (select v.folded from pgrep.versioned_table v where v.table_id = ${tableId});
  least_xid constant xid8 := least(pg_catalog.pg_snapshot_xmax(seen), pg_catalog.pg_snapshot_xmax(folded));
  seen_xmax constant xid8 := pg_catalog.pg_snapshot_xmax(seen);
  seen_xip constant xid8[] := array(select pg_catalog.pg_snapshot_xip(seen));
  folded_xmax constant xid8 := pg_catalog.pg_snapshot_xmax(folded);
  folded_xip constant xid8[] := array(select pg_catalog.pg_snapshot_xip(folded));
  open_xids constant xid8[] := seen_xip || folded_xip;
begin
  return query
  ${keys};
end
$pgrep$`;
}

/** The same query by itself, for many keys: 200,000 rows of a function are first written down, which took 0.1 s of 0.7 s. `seen`, `cutoff`: literals. */
export function changedSql(
  table: VersionedTable,
  { seen, cutoff, forwardsTo }: Readonly<Record<'seen' | 'cutoff' | 'forwardsTo', string>>,
): string {
  const folded = (part: string): string => `select ${part}(v.folded) from pgrep.versioned_table v where v.table_id = ${table.tableId}`; // prettier-ignore
  const [xmax, xip] = ['pg_catalog.pg_snapshot_xmax', 'pg_catalog.pg_snapshot_xip'] as const;
  const given = { xmax: `${xmax}(${seen}::pg_snapshot)`, xip: `array(select ${xip}(${seen}::pg_snapshot))` };
  const foldedTo = { xmax: `(${folded(xmax)})`, xip: `array(${folded(xip)})` };
  return changedKeysSql(table, {
    self: selfSql,
    seen: given,
    folded: foldedTo,
    either: { xmax: `least(${given.xmax}, ${foldedTo.xmax})`, xip: `(${given.xip} || ${foldedTo.xip})` },
    cutoff: `${cutoff}::xid8`,
    forwardsTo: `${forwardsTo}::smallint`,
  });
}

/**
 * Query for the distinct keys that a two-way route has to send: those in the queue that `seen` has not seen, of
 * transactions before `cutoff` (null: all). With each goes what tells its version: `version` and `xid`, its transaction, of the
 * newest local change, also of those that are taken later, since the row is read as it is now (null: none is left in the
 * queue), `unfolded`, the version of the newest one that is not folded yet (null: none), and `was_inserted`. `foreign_too`: the row is sent also where its version is another node's; otherwise that one sends it, and
 * knows what it has seen. What arrived from others goes on only to where it did not come from, and only with `forwards_to`, the
 * target's node id.
 */
function changedKeysSql(table: VersionedTable, terms: ChangedTerms): string {
  const { self, seen, folded, either, cutoff, forwardsTo } = terms;
  const keys = (alias: string): string => table.key.map(({ name }) => `${alias}.${name}`).join(', ');
  return `select ${keys('c')}, c.stamp[1] as version, c.stamp[2] as xid, c.unfolded, c.was_inserted, c.foreign_too
  from (select ${keys('k')}, pg_catalog.max(q.stamp) as stamp, pg_catalog.max(q.unfolded) as unfolded, pg_catalog.bool_or(q.inserted) as was_inserted,
      ${forwardsTo} is not null or pg_catalog.bool_or(q.from_self) as foreign_too
    from (select ${keys('n')}, case when n.from_node is null then ${stampSql('n')} end as stamp,
        case when n.from_node is null and (n.xid >= ${folded.xmax} or n.xid = any (${folded.xip})) then n.version end as unfolded, n.inserted and n.from_node is null as inserted,
        n.is_new and n.from_node is not distinct from ${self} as from_self,
        n.is_new and (${cutoff} is null or n.xid < ${cutoff}) and (n.from_node is null or n.from_node = ${self} or n.from_node <> ${forwardsTo}) as due
      from (select q.*, (q.xid >= ${seen.xmax} or q.xid = any (${seen.xip})) as is_new from pgrep.queue_${table.tableId} q
        where (q.xid >= ${either.xmax} or q.xid = any (${either.xip})) and not q.truncated) n offset 0) q cross join lateral ${keysOf(table)}
    group by ${keys('k')} having pg_catalog.bool_or(q.due)) c`;
}
