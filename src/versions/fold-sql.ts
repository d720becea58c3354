import { ident, tableIdent } from '../db/quote.ts';
import { copyingSql } from './seen.ts';
import { sidecarName, type VersionedTable } from './versioned-table.ts';
import {
  builtOnSql,
  countsSql,
  floorSql,
  graveSql,
  heldSql,
  keysInRow,
  nextVersionSql,
  peersSql,
  queueWithKeys,
  sameKeySql,
  unfoldedCondition,
  unfoldedSql,
} from './version-sql.ts';

/** `pgrep.fold_7`, see `foldFunctionSql`. */
export function foldFunction(tableId: string): string {
  return `pgrep.fold_${tableId}`;
}

/** A table that is busy is folded this often, so that a batch reads few queue rows. */
export const foldMs = 500;

/** Script that folds tables where so many keys wait that reading them from the queue would take longer. In the order of their ids, as appliers lock them. */
export function foldBusySql(tableIds: Iterable<string>): string {
  return inOrder(tableIds)
    .map((id) => `select ${foldFunction(id)}(${fewKeys})`)
    .join(';\n');
}

/** Table ids, the lowest first. */
export function inOrder(tableIds: Iterable<string>): readonly string[] {
  return [...tableIds].sort((one, other) => Number(one) - Number(other));
}

// Up to this many keys are read from the queue quicker than they are folded.
const fewKeys = 2_000;

/**
 * DDL of the function that folds a table's queue into its sidecar: the newest local version of each key, except what every
 * peer has seen already and sends nothing older than. It waits for another fold of the table, takes no lock on the table itself, and does
 * nothing while fewer than `least_keys` keys are waiting; if that is more than one, only keys count that all peers have seen, which cost little. `up_to`: only what this has seen.
 *
 * Two kinds of keys get a fresh version and are queued again (step f):
 * - a live row below a newer tombstone or truncate floor was inserted while the delete arrived;
 * - a local change below an earlier local version was made after the clock was set back. One that was there before that version
 *   was written is not: the version is that of a row merged from it, and a fresh one would beat what others made of that row since.
 *
 * That it gets only while no open transaction changes the row, whose change might have an older version already: else the transactions that
 * changed it so far count as not folded.
 *
 * Gives the number of keys folded.
 */
export function foldFunctionSql(table: VersionedTable): string {
  const { tableId } = table;
  const names = table.key.map(({ name }) => name);
  const keys = (alias: string): string => names.map((name) => `${alias}.${name}`).join(', ');
  // Queue rows (q): not seen by some peer; and those to be folded now.
  const unseen = `exists (select from pg_catalog.unnest(seen_by_all) s (snapshot) where not pg_catalog.pg_visible_in_snapshot(q.xid, s.snapshot))`;
  const since =
    '(q.xid >= pg_catalog.pg_snapshot_xmax(before) or q.xid = any (array(select pg_catalog.pg_snapshot_xip(before))))';
  const upTo = '(up_to is null or pg_catalog.pg_visible_in_snapshot(q.xid, up_to))';
  const needed = `(seen_by_all is null or ${unseen})`;
  // The row is read as it is now: of a key that is due all changes count, also those after `up_to`, which are folded once more later.
  const judged = { needed, due: upTo, begun: `q.inserted and ${upTo} and ${needed}` };
  return `create or replace function ${foldFunction(tableId)}(least_keys integer, up_to pg_snapshot default null) returns bigint language plpgsql as $pgrep$
declare
  self constant smallint := (select n.node_id from pgrep.node n where n.is_self);
  -- Null: a peer is not known to have seen anything.
  seen_by_all constant pg_snapshot[] := (select case when pg_catalog.bool_and(s.snapshot is not null) and not ${copyingSql(tableId)} then pg_catalog.array_agg(s.snapshot) end
    ${peersOf(tableId)});
  waiting constant bigint := (select pg_catalog.sum(w.n) from (
    select ${keysInRow(table)} as n from pgrep.queue_${tableId} q where q.from_node is null and ${unfoldedCondition(tableId)}
      and (least_keys = 1 or (seen_by_all is not null and not ${unseen})) limit least_keys) w);
  before pg_snapshot;
  highest bigint;
  folded_keys bigint;
begin
  if waiting is null or waiting < least_keys then
    return 0;
  end if;
  select v.folded into before from pgrep.versioned_table v where v.table_id = ${tableId} for update;
${allSeenSql(table, { since, upTo, needed })}  if found then
    perform pgrep.raise_clock(coalesce(highest, 0), 9223372036854775807);
    return folded_keys;
  end if;
  with unfolded as materialized (
${unfoldedSql(table, since, judged)}
  ), truncated as (
${floorSql(table, `${since} and ${upTo}`)}
${meetSql(table, keys)}${writeSql(table, keys, since)}  select greatest(pg_catalog.max(u.stamp[1]), pg_catalog.max(f.stamp[1])), pg_catalog.count(u.*) into highest, folded_keys
  from truncated f left join unfolded u on true;
  -- What is written from here on is newer than all that was folded, also when the server's clock was set back.
  perform pgrep.raise_clock(highest, 9223372036854775807);
  return folded_keys;
end
$pgrep$`;
}

/**
 * Most of the time all peers have seen what is folded, and no key of it has an entry, is below the floor, is held or has an older version that comes later: then
 * only how far it is folded changes. Reads queue rows, not their keys. Conditions on them: `since`, not folded yet; `upTo`, to be folded now; `needed`, some peer has not seen it.
 */
function allSeenSql(
  table: VersionedTable,
  { since, upTo, needed }: Readonly<Record<'since' | 'upTo' | 'needed', string>>,
): string {
  const { tableId } = table;
  return `  update pgrep.versioned_table v set folded = coalesce(up_to, pg_catalog.pg_current_snapshot())
  from (select pg_catalog.max(q.version) as highest, pg_catalog.min(q.version) as lowest, coalesce(pg_catalog.sum(${keysInRow(table)}), 0) as n, pg_catalog.bool_or(q.truncated or ${needed}) as matters
    from pgrep.queue_${tableId} q where q.from_node is null and ${since} and ${upTo}) w
  where v.table_id = ${tableId} and w.matters is not true and coalesce(w.lowest > v.floor_version, true)
    and not exists (select from pgrep.queue_${tableId} q where q.from_node is null and ${since} and not ${upTo} and q.version < w.highest)
    and not exists (select from ${sidecarName(tableId)}) and not exists (select from pgrep.sync_err_rec e join pgrep.route r on r.route_id = e.route_id where r.table_id = ${tableId})
  returning w.highest, w.n into highest, folded_keys;
`;
}

type Keys = (alias: string) => string;

/** What the folded changes meet: the row, its sidecar entry, the floor; and which of them need a version of their own (step f). */
function meetSql(table: VersionedTable, keys: Keys): string {
  const { tableId } = table;
  const rowKey = (alias: string): string => table.key.map(({ column, name }) => `t.${ident(column)} = ${alias}.${name}`).join(' and '); // prettier-ignore
  const first = ident(table.key[0]?.column ?? '');
  return `  ), met as materialized (
    select ${keys('u')}, u.stamp, u.inserted, u.needed, t.${first} is distinct from null as live, rv.version as known, rv.base, rv.barrier,
      case when t.${first} is distinct from null then ${graveSql('f.stamp[1]')} end as grave
    from unfolded u cross join truncated f
    left join ${tableIdent(table.table)} t on ${rowKey('u')}
    left join ${sidecarName(tableId)} rv on ${sameKeySql(table, 'rv', 'u')}
    -- Of a key that has a newer change since only that counts, and it is folded later. But that the row was inserted would be forgotten.
    where u.due and (u.begun or up_to is null or pg_catalog.pg_visible_in_snapshot(u.stamp[2]::text::xid8, up_to))
  ), judged as materialized (
    select m.*, coalesce(m.grave > m.stamp[1], false) or coalesce(m.known > m.stamp[1] and m.known & 255 = self and m.stamp[2] >= m.barrier, false) as fresh
    from met m
  ), decided as materialized (
    select j.*, j.fresh and j.live and l.locked is null as waits
    from judged j left join lateral (
      select true as locked from ${tableIdent(table.table)} t where j.fresh and j.live and ${rowKey('j')} for no key update skip locked) l on true
`;
}

/** Writes the versions, queues again what got a new one, and says how far it is folded. `since`: condition on queue rows (q) that were not folded. */
function writeSql(table: VersionedTable, keys: Keys, since: string): string {
  const { tableId } = table;
  const names = table.key.map(({ name }) => name);
  return `  ), versions as materialized (
    select ${keys('j')}, j.fresh, j.live, j.inserted,
      case when j.fresh then ${nextVersionSql('self', 'greatest(j.grave, j.known, j.stamp[1])')} else j.stamp[1] end as version,
      case when j.fresh then pg_catalog.pg_current_xact_id()::text::bigint else j.stamp[2] end as xid,
      ${builtOnSql({ known: 'j.known', base: 'j.base', self: 'self' })} as base
    from decided j where (j.needed or j.fresh or j.known is not null or ${heldSql(table, 'j')}) and not j.waits
  ), waiting as materialized (
    select ${keys('j')} from decided j where j.waits
  ), written as (
    insert into ${sidecarName(tableId)} as rv (${names.join(', ')}, version, xid, dead, inserted, barrier, base)
    select ${keys('v')}, v.version, v.xid, not v.live, v.inserted, pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint, v.base
    from versions v order by ${keys('v')}
    on conflict (${names.join(', ')}) do update
    set version = excluded.version, xid = excluded.xid, dead = excluded.dead, inserted = excluded.inserted, barrier = excluded.barrier, base = excluded.base
    where excluded.version > rv.version
  ), queued_again as (
    insert into pgrep.queue_${tableId} (version, from_node, ${names.join(', ')})
    select 0, self, ${names.map((name) => (table.packed ? `array[v.${name}]` : `v.${name}`)).join(', ')} from versions v where v.fresh
  ), reached as (
    update pgrep.versioned_table v set folded = pgrep.with_open(coalesce(up_to, pg_catalog.pg_current_snapshot()), (
      select pg_catalog.array_agg(distinct q.xid) from ${queueWithKeys(table)} join waiting w on ${sameKeySql(table, 'k', 'w')} where ${since} and q.from_node is null)), floor_version = f.stamp[1], floor_xid = f.stamp[2]
    from truncated f where v.table_id = ${tableId}
  )
`;
}

/** From-item: what each peer of the table has seen of this node. */
function peersOf(tableId: string): string {
  const seen = `join pgrep.node n on n.name = r.target left join pgrep.peer_seen s on s.peer = n.node_id and s.origin = self and ${countsSql('s', tableId, 'self', 'r.target')}`;
  return `from (select s.snapshot ${peersSql(tableId, seen)}) s`;
}
