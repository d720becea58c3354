import { literal } from '../db/quote.ts';
import { serverLife } from '../db/server-life.ts';
import { tellsOfSql } from './seen.ts';
import type { VersionedTable } from './versioned-table.ts';

/**
 * SQL for this server's time in microseconds. date_part is exact to the microsecond until the year 2255 (float8) and costs 0.15 µs less than
 * extract (numeric).
 */
export const microsecondsSql = "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint";

/**
 * SQL for the next version of this node (`self`: SQL of its node id), as queue rows get it by default. A hybrid logical clock (DESIGN section 5):
 * microseconds, but above all that this node has seen of others and has given out itself, and the node in the low byte. `above`: a version that
 * it must exceed; null: none. `now`: SQL of the time. While the server's clock is behind, the counter goes on by nextval, which gives no number
 * twice; setval, of two at once, would leave the lower of theirs.
 */
export function nextVersionSql(self: string, above: string | null = null, now = microsecondsSql): string {
  const [clock, ticks] = ['clock', 'ticks'].map((name) => `pg_catalog.pg_sequence_last_value('pgrep.${name}')`);
  const others = above === null ? clock : `greatest(${clock}, ${above} >> 8)`;
  return `((case when ${now} > greatest(${ticks}, ${others}) then pg_catalog.setval('pgrep.ticks', ${now})
    when ${ticks} >= ${others} then pg_catalog.nextval('pgrep.ticks')
    else pg_catalog.setval('pgrep.ticks', greatest(${ticks}, ${others}) + 1) end << 8) | ${self})`;
}

/** What is to be known of a queue to read its keys. */
type QueuedKeys = Pick<VersionedTable, 'tableId' | 'packed'> & { readonly key: readonly { readonly name: string }[] };

/** SQL for the number of keys in one queue row (alias `q`). */
export function keysInRow({ packed }: Pick<VersionedTable, 'packed'>): string {
  return packed ? 'coalesce(pg_catalog.cardinality(q.k1), 1)' : '1';
}

/** SQL condition on queue rows (alias `q`): not folded into the sidecar. */
export function unfoldedCondition(tableId: string): string {
  const folded = `from pgrep.versioned_table v where v.table_id = ${tableId}`;
  return `(q.xid >= (select pg_catalog.pg_snapshot_xmax(v.folded) ${folded})
    or q.xid = any (array(select pg_catalog.pg_snapshot_xip(v.folded) ${folded})))`;
}

/** SQL: version and transaction of a queue row (`alias`) as one comparable bigint[]. */
export function stampSql(alias: string): string {
  return `array[${alias}.version, ${alias}.xid::text::bigint]`;
}

/** From-items: a queue (`q`) with its keys (`k`), named as there. */
export function queueWithKeys(queue: QueuedKeys): string {
  return `pgrep.queue_${queue.tableId} q cross join lateral ${keysOf(queue)}`;
}

/** From-item: the keys (`k`), named as there, of a row `q` that has a queue's key columns. */
export function keysOf({ key, packed }: Pick<QueuedKeys, 'key' | 'packed'>): string {
  const names = key.map(({ name }) => name);
  if (!packed) return `(select ${names.map((name) => `q.${name}`).join(', ')}) as k`;
  return `rows from (${names.map((name) => `pg_catalog.unnest(q.${name})`).join(', ')}) as k (${names.join(', ')})`;
}

/**
 * Query for the newest local change of each key that is not folded: the key columns, `stamp` and `inserted`. `where`: other queue rows (`q`) than
 * those; `any`: further columns, true where a condition holds for any of a key's queue rows.
 */
export function unfoldedSql(
  table: VersionedTable,
  where = unfoldedCondition(table.tableId),
  any: Readonly<Record<string, string>> = {},
): string {
  const columns = table.key.map(({ name }) => `k.${name}`).join(', ');
  const queued = table.key.map(({ name }) => `q.${name}`).join(', ');
  // What is the same for all keys of a queue row is made before they are unnested; `offset 0` keeps it there.
  const conditions = Object.entries(any)
    .map(([name, condition]) => `, ${condition} as ${name}`)
    .join('');
  const flags = Object.keys(any)
    .map((name) => `, pg_catalog.bool_or(q.${name}) as ${name}`)
    .join('');
  return `select ${columns}, pg_catalog.max(q.stamp) as stamp, pg_catalog.bool_or(q.inserted) as inserted${flags}
from (select ${queued}, q.inserted, ${stampSql('q')} as stamp${conditions} from pgrep.queue_${table.tableId} q
  where ${where} and not q.truncated and q.from_node is null offset 0) q cross join lateral ${keysOf(table)}
group by ${columns}`;
}

/**
 * Query for the table's truncate floor: one row, `stamp` a bigint[] of version and transaction, {0,0} where nothing was truncated. `where`: as
 * for `unfoldedSql`.
 */
export function floorSql({ tableId }: VersionedTable, where = unfoldedCondition(tableId)): string {
  return `select pg_catalog.max(f.stamp) as stamp from (
  select array[v.floor_version, v.floor_xid] as stamp from pgrep.versioned_table v where v.table_id = ${tableId}
  union all select ${stampSql('q')} from pgrep.queue_${tableId} q where q.truncated and q.from_node is null and ${where}) f`;
}

/**
 * SQL for what a version was built on: versions of other nodes, of each the highest. `version`: which one, of those that stand beside
 * each other, `stamp`, the newest local change, or `known`, that of the sidecar with its `base`, from which that change went on.
 */
export function baseSql(
  version: string,
  { stamp, known, base, self }: Readonly<Record<'stamp' | 'known' | 'base' | 'self', string>>,
): string {
  return `case ${version} when ${known} then ${base} when ${stamp} then ${builtOnSql({ known, base, self })} end`;
}

/** SQL for what a change of this node (`self`) is built on that went on from `known`. Calls a function only where several nodes have written. */
export function builtOnSql({ known, base, self }: Readonly<Record<'known' | 'base' | 'self', string>>): string {
  return `case when ${known} is null or ${known} & 255 = ${self} then ${base} when ${base} is null then array[${known}] else pgrep.merge_bases(${base}, array[${known}]) end`;
}

/**
 * SQL for the version below which a live row was inserted while its delete arrived (step f): that of a tombstone in its sidecar entry (`rv`), or
 * the truncate floor (`floor`: SQL of its version), unless the entry is of a live row and newer. Null: neither.
 */
export function graveSql(floor: string): string {
  return `greatest(case when rv.dead then rv.version end, case when rv.dead or rv.version is null or rv.version < ${floor} then ${floor} end)`;
}

/** SQL condition: a version is one that another was built on (`base`). */
export function isBuiltOnSql(base: string, version: string): string {
  return `exists (select from pg_catalog.unnest(${base}) b (version) where b.version & 255 = ${version} & 255 and b.version >= ${version})`;
}

/**
 * First key of the advisory lock of those who apply to a two-way table, one after the other; the second is the table's id. They hold it while
 * they look for routes that need what arrives.
 */
export const arrivalLock = 482770018;

/** SQL for this node's id. */
export const selfSql = '(select n.node_id from pgrep.node n where n.is_self)';

/** SQL condition: `left` and `right` have the same key; right's columns are the sidecar's names. */
export function sameKeySql(table: VersionedTable, left: string, right: string): string {
  return table.key.map(({ name }) => `${left}.${name} = ${right}.${name}`).join(' and ');
}

/** The two-way routes of a table that start at this node, as `r`: its peers. `joins`: what is joined to each. */
export function peersSql(tableId: string, joins = ''): string {
  return `from pgrep.route r ${joins === '' ? '' : `${joins} `}where r.table_id = ${tableId} and r.options @> '{"twoWay": true}'`;
}

/** SQL condition: the key of a row (`alias`, named as in the sidecar) is held for some target, which will need its version. */
export function heldSql(table: VersionedTable, alias: string): string {
  return `exists (select from pgrep.sync_err_rec e join pgrep.route r on r.route_id = e.route_id where r.table_id = ${table.tableId} and e.key = ${keyTexts(table, alias)})`;
}

/** SQL condition: the version of a sidecar's row (`alias`) is one of two that somebody has to decide between; the other one may be held at its own node. */
export function undecidedSql(table: VersionedTable, alias: string): string {
  return `exists (select ${undecided(table, keyTexts(table, alias), `${alias}.version`)})`;
}

/** SQL: the versions that a row's own (`version`, SQL; `key`: its values as text[]) is held beside until somebody decides; null: none. */
export function heldBesideSql(table: VersionedTable, key: string, version: string): string {
  return `(select pg_catalog.array_agg(h.remote_version) ${undecided(table, key, version)})`;
}

function undecided({ table }: VersionedTable, key: string, version: string): string {
  return `from pgrep.conflict h where h.nsp_name = ${literal(table.schema)} and h.table_name = ${literal(table.name)} and h.key = ${key}
      and h.local_version = ${version} and h.verdict = 'held' and h.restore_time is null`;
}

function keyTexts(table: VersionedTable, alias: string): string {
  return `array[${table.key.map(({ name }) => `${alias}.${name}::text`).join(', ')}]`;
}

/**
 * SQL condition on a peer's row of `pgrep.peer_seen` (`seen`) for a peer named by `target`: it counts for a table (SQL of its id). What a peer says of this node (`self`)
 * does only once it has had a batch from here since the server's last crash, which gives ids of transactions out again.
 */
export function countsSql(seen: string, tableId: string, self: string, target: string): string {
  return `(${tellsOfSql(seen, tableId)} and (${seen}.origin <> ${self} or exists (select from pgrep.link_state l where l.target = ${target} and l.confirmed_in = ${serverLife})))`;
}
