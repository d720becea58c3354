import type { CaptureDatabase } from '../../capture/database.ts';
import { ident, tableIdent } from '../../db/quote.ts';
import { foldFunction } from '../../versions/fold-sql.ts';
import { describeVersioned } from '../../versions/install-versions.ts';
import { selfSql } from '../../versions/version-sql.ts';
import { sidecarName, type VersionedTable } from '../../versions/versioned-table.ts';

/** Which keys a node sends its peers once more. `forgotten`: those whose version a forgotten node wrote. `graves`: what a new peer cannot see in a copy. */
export type QueuedAnew = 'forgotten' | 'graves';

/**
 * Queues keys of a table with versions for all its peers, with the versions that they have. `graves`: deleted keys, without which a
 * row that some node still has could come back through the new peer, and keys that a peer refused, since its copy lacks them.
 * Gives their number. Harmless to repeat.
 */
export async function queueAnew(db: CaptureDatabase, tableId: string, which: QueuedAnew): Promise<number> {
  const database = { query: async (text: string, values?: readonly unknown[]) => ({ rows: [...(await db.query(text, values)).rows] }) }; // prettier-ignore
  const table = await describeVersioned(database, tableId);
  await db.query(`select ${foldFunction(tableId)}(1)`);
  let keys = 0;
  for (const statement of queueAnewSql(table, which))
    keys += Number((await db.query(statement)).rows[0]?.['keys'] ?? 0);
  return keys;
}

/** The statements of `queueAnew`; each gives one row, the number of keys it queued. */
export function queueAnewSql(table: VersionedTable, which: QueuedAnew): readonly string[] {
  const written = which === 'forgotten' ? ` and ${byForgotten('v.floor_version')}` : '';
  const names = table.key.map(({ name }) => name).join(', ');
  const condition = which === 'forgotten' ? byForgotten('rv.version') : 'rv.dead';
  const newer = which === 'forgotten' ? ` union ${newerThanFloor(table)}` : '';
  return [
    queueKeys(table, `select ${names} from ${sidecarName(table.tableId)} rv where ${condition}${newer}`),
    ...(which === 'graves' ? [queueKeys(table, heldKeys(table))] : []),
    `with queued as (insert into pgrep.queue_${table.tableId} (version, from_node, truncated)
  select 0, ${selfSql}, true from pgrep.versioned_table v where v.table_id = ${table.tableId} and v.floor_version > 0${written} returning 0 as n)
select pg_catalog.sum(n) as keys from queued`,
  ];
}

function queueKeys(table: VersionedTable, keys: string): string {
  const { tableId, packed } = table;
  const names = table.key.map(({ name }) => name);
  const rows = packed
    ? `select 0, ${selfSql}, ${names.map((name) => `pg_catalog.array_agg(s.${name})`).join(', ')}
  from (select ${names.map((name) => `a.${name}`).join(', ')}, (pg_catalog.row_number() over () - 1) / ${keysPerRow} as chunk from (${keys}) a) s group by s.chunk`
    : `select 0, ${selfSql}, ${names.map((name) => `s.${name}`).join(', ')} from (${keys}) s`;
  return `with queued as (insert into pgrep.queue_${tableId} (version, from_node, ${names.join(', ')})
  ${rows} returning ${packed ? 'pg_catalog.cardinality(k1)' : '1'} as n)
select coalesce(pg_catalog.sum(n), 0) as keys from queued`;
}

// A TRUNCATE of the forgotten node may be news to some, long after what was written since: so all rows go along, or it would delete those without versions.
function newerThanFloor({ tableId, table, key }: VersionedTable): string {
  return `select ${key.map(({ column }) => `t.${ident(column)}`).join(', ')} from ${tableIdent(table)} t
  where exists (select from pgrep.versioned_table v where v.table_id = ${tableId} and v.floor_version > 0 and ${byForgotten('v.floor_version')})`;
}

function byForgotten(version: string): string {
  return `${version} & 255 in (select n.node_id from pgrep.node n where n.forgotten)`;
}

function heldKeys({ tableId, key }: VersionedTable): string {
  const columns = key.map(({ name, type }, place) => `e.key[${place + 1}]::${type} as ${name}`).join(', ');
  return `select ${columns} from pgrep.sync_err_rec e join pgrep.route r on r.route_id = e.route_id
  where r.table_id = ${tableId} and r.options @> '{"twoWay": true}'`;
}

// As capture packs them.
const keysPerRow = 1000;
