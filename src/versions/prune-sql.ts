import { foldFunction } from './fold-sql.ts';
import { copyingSql } from './seen.ts';
import { sidecarName, type VersionedTable } from './versioned-table.ts';
import { countsSql, heldSql, peersSql, selfSql, undecidedSql, unfoldedCondition } from './version-sql.ts';

/** `pgrep.prune_7`, see `pruneFunctionSql`. */
export function pruneFunction(tableId: string): string {
  return `pgrep.prune_${tableId}`;
}

/**
 * DDL of the function that folds what has waited since it was last called and forgets versions and tombstones that are causally stable: every peer other
 * than the version's origin has seen it and has sent a batch since, so nothing older can arrive any more. A tombstone also
 * stays while a transaction may be open that began before it was written (step f). Nothing goes while the table is being copied, to
 * here or to a peer: rows of a copy may be of an older snapshot, and what the peer says that it has seen may not have come yet; a held key keeps its version until it gets through, and one that met a held one its own until that is decided.
 * A version of a forgotten node is stable once every peer has what the survivors queued of that node (`told`), since whatever anybody
 * had of it has come by then. Versions without a node are of keys that nobody knows to have been written. Gives the number of entries removed.
 */
export function pruneFunctionSql(table: VersionedTable): string {
  const { tableId } = table;
  const seen = `left join pgrep.node n on n.name = r.target left join pgrep.peer_seen s on s.peer = n.node_id and s.origin = o.origin and ${countsSql('s', tableId, 'self', 'r.target')}`;
  return `create or replace function ${pruneFunction(tableId)}() returns bigint language plpgsql as $pgrep$
declare
  self constant smallint := ${selfSql};
  told constant smallint[] := array(select o.node_id from pgrep.node o where o.forgotten and o.exchange is not null and not exists (
    select from pg_catalog.jsonb_array_elements(o.exchange) e cross join lateral (select (e ->> 0)::smallint as survivor, (e ->> 1)::xid8 as xid) q
    cross join pgrep.route r join pgrep.node n on n.name = r.target
    where r.table_id = ${tableId} and r.options @> '{"twoWay": true}' and not exists (
      select from pgrep.position p join pgrep.node here on here.name = p.target and here.is_self
      where n.node_id = q.survivor and p.source = n.name and pg_catalog.pg_visible_in_snapshot(q.xid, p.snapshot)
      union all
      select from pgrep.peer_seen s where s.peer = n.node_id and s.origin = q.survivor and ${countsSql('s', tableId, 'self', 'r.target')}
        and pg_catalog.pg_visible_in_snapshot(q.xid, s.snapshot))));
  removed bigint;
begin
  -- What is new may be seen by all in a moment, and then needs no entry: only what was there at the last time is folded.
  perform ${foldFunction(tableId)}(1, v.looked) from pgrep.versioned_table v
  where v.table_id = ${tableId} and (v.looked is null or pg_catalog.pg_snapshot_xmax(v.looked) > pg_catalog.pg_snapshot_xmax(v.folded));
  update pgrep.versioned_table v set looked = pg_catalog.pg_current_snapshot() where v.table_id = ${tableId} and v.looked::text is distinct from pg_catalog.pg_current_snapshot()::text;
  -- Also where nothing has a version: what arrives is queued for others, too, and the queue is only emptied up to what is folded.
  update pgrep.versioned_table v set folded = pg_catalog.pg_current_snapshot()
  where v.table_id = ${tableId} and v.folded::text is distinct from pg_catalog.pg_current_snapshot()::text
    and not exists (select from pgrep.queue_${tableId} q where q.from_node is null and ${unfoldedCondition(tableId)});
  if ${copyingSql(tableId)} or not exists (select from ${sidecarName(tableId)}) then
    return 0;
  end if;
  with origins as materialized (
    -- What each peer other than the origin has seen of it; null: of a peer that has not told.
    select o.origin, array(select s.snapshot ${peersSql(tableId, seen)} and n.node_id is distinct from o.origin) as seen
    from (select distinct rv.version & 255 as origin from ${sidecarName(tableId)} rv) o
  )
  delete from ${sidecarName(tableId)} rv using pgrep.versioned_table v, origins o
  where v.table_id = ${tableId} and o.origin = rv.version & 255 and rv.barrier <= pg_catalog.pg_snapshot_xmin(v.folded)::text::bigint
    and not ${heldSql(table, 'rv')} and not ${undecidedSql(table, 'rv')}
    and (o.origin = any (told) or o.origin = 0 or not exists (
      select from pg_catalog.unnest(o.seen) s (snapshot) where pg_catalog.pg_visible_in_snapshot(rv.xid::text::xid8, s.snapshot) is not true));
  get diagnostics removed = row_count;
  return removed;
end
$pgrep$`;
}
