import { ident, literal, tableIdent } from '../../../db/quote.ts';
import { peersSql, queueWithKeys, selfSql } from '../../../versions/version-sql.ts';
import { seenOfSql } from '../../../versions/seen.ts';
import { sidecarName } from '../../../versions/versioned-table.ts';
import { sameKey, stagedValue, stageName } from '../apply-sql.ts';
import { judgedSetting, settings } from './judge-sql.ts';
import { keyColumns, stagedKeyIs, stagedKeyOrder, stagedKeyValues, type MeetingTable } from './meeting.ts';

/**
 * Step d: fails with SQLSTATE PGC02 when a local change of a staged key was committed after the rows were judged: an insert of a row
 * that was not there to be locked; or that the fold gave one a fresh version. All begins again then.
 */
export function stopIfRacedSql(table: MeetingTable): string {
  const judged = `pg_catalog.current_setting(${literal(judgedSetting(table))})::pg_snapshot`;
  const keys = keyColumns(table)
    .map(({ column, name }) => `k.${name} = ${stagedValue(column)}`)
    .join(' and ');
  return `select pgrep.stop_if_raced(exists (select from ${queueWithKeys(table.versioned)} join ${stageName(table)} s on ${keys}
where q.xid >= pg_catalog.pg_snapshot_xmin(${judged}) and not pg_catalog.pg_visible_in_snapshot(q.xid, ${judged}) and (q.from_node is null or q.from_node = ${selfSql}) and not q.truncated))`;
}

/**
 * Step e, the sidecar: versions of what was applied, tombstones too. With a single peer a live row needs none: nobody else can
 * send an older one. Only what the sidecar has already is kept in step, and a row that is newer than what this node will say that it has seen
 * (read after the look at its queue, or passed on by others): what is built on it must not look concurrent.
 */
export function writeVersionsSql(table: MeetingTable): string {
  const { tableId, key } = table.versioned;
  const sidecar = sidecarName(tableId);
  const names = key.map(({ name }) => name).join(', ');
  return `with seen as materialized (${seenOfSql(table.route.target, tableId)})
insert into ${sidecar} as rv (${names}, version, xid, dead, inserted, barrier, base)
select ${stagedKeyValues(table).join(', ')}, s.version, s.xid, not s.live, s.inserted, pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint, s.base
from ${stageName(table)} s
where not s.swept and (not s.live or s.merged or (select pg_catalog.count(*) ${peersSql(tableId)}) > 1
  or exists (select from ${sidecar} rv where ${stagedKeyIs(table, 'rv')})
  or (s.version > 255 and not exists (select from seen e
    where e.origin = s.version & 255 and pg_catalog.pg_visible_in_snapshot(s.xid::text::xid8, e.snapshot))))
order by ${stagedKeyOrder(table)}
on conflict (${names}) do update
set version = excluded.version, xid = excluded.xid, dead = excluded.dead, inserted = excluded.inserted, barrier = excluded.barrier, base = excluded.base
where excluded.version >= rv.version`;
}

/** Step e, the queue: what others than the sender need, and what was merged here, which all need. */
export function forwardSql(table: MeetingTable): readonly string[] {
  const { tableId } = table.versioned;
  const others = `exists (select from pgrep.route r where r.table_id = ${tableId} and (not r.options @> '{"twoWay": true}'
    or (r.options @> '{"forward": true}' and r.target <> ${literal(table.route.source)})))`;
  const forwarded = queueSql(table, `pg_catalog.current_setting('${settings.sender}')::smallint`, `not s.merged and not s.swept and ${others}`); // prettier-ignore
  const merged = queueSql(table, selfSql, 's.merged');
  const needsMerged = table.route.twoWay?.policy === 'function';
  return needsMerged ? [forwarded, merged] : [forwarded];
}

/**
 * Step e after a TRUNCATE, before the floor is raised: queues the rows that are newer, so that nodes that this one forwards to get them
 * with the TRUNCATE. They keep no versions of what only this node can send, and would delete them.
 */
export function forwardNewerSql(table: MeetingTable, floor: { version: string }): string {
  const { tableId, key } = table.versioned;
  const rows = `select ${key.map(({ column, name }) => `t.${ident(column)} as ${name}`).join(', ')}, pg_catalog.row_number() over () as place
from ${tableIdent(table.route.targetTable)} t
where not exists (select from ${stageName(table)} s where ${sameKey(table)})
  and ${floor.version} > (select v.floor_version from pgrep.versioned_table v where v.table_id = ${tableId})
  and exists (select from pgrep.route r where r.table_id = ${tableId} and r.options @> '{"forward": true}' and r.target <> ${literal(table.route.source)})`;
  return queueKeysSql(table, selfSql, rows);
}

/** Step e after a TRUNCATE: the floor below which nothing is left, and a marker for others. */
export function raiseFloorSql(table: MeetingTable, floor: { version: string; xid: string }): string {
  const { tableId } = table.versioned;
  return `with raised as (
  update pgrep.versioned_table v set floor_version = ${floor.version}, floor_xid = ${floor.xid}
  where v.table_id = ${tableId} and v.floor_version < ${floor.version} returning v.table_id)
insert into pgrep.queue_${tableId} (version, from_node, truncated)
select 0, pg_catalog.current_setting('${settings.sender}')::smallint, true from raised
where exists (select from pgrep.route r where r.table_id = raised.table_id and (not r.options @> '{"twoWay": true}'
  or (r.options @> '{"forward": true}' and r.target <> ${literal(table.route.source)})))`;
}

function queueSql(table: MeetingTable, from: string, where: string): string {
  const values = stagedKeyValues(table);
  const keys = table.versioned.key.map(({ name }, place) => `${values[place] ?? ''} as ${name}`).join(', ');
  const rows = `select ${keys}, pg_catalog.row_number() over () as place from ${stageName(table)} s where ${where}`;
  return queueKeysSql(table, from, rows);
}

// `rows`: a query for the keys, named as in the queue, and `place`, counted from 1.
function queueKeysSql(table: MeetingTable, from: string, rows: string): string {
  const { tableId, key, packed } = table.versioned;
  const names = key.map(({ name }) => name);
  const columns = names.map((name) => (packed ? `pg_catalog.array_agg(x.${name})` : `x.${name}`));
  return `insert into pgrep.queue_${tableId} (version, from_node, ${names.join(', ')})
select 0, ${from}, ${columns.join(', ')} from (${rows}) x${packed ? ' group by (x.place - 1) / 1000' : ''}`;
}
