import { ident, tableIdent } from '../../db/quote.ts';
import { insertSql, keyOf, stagedValue, stageName, updateSql } from './apply-sql.ts';
import type { FailedRow } from './careful-apply.ts';
import type { TargetConnection } from './connection.ts';
import { attempt } from './savepoint.ts';
import { showTid } from './stage-range.ts';
import type { TargetColumn, TargetTable } from './target-table.ts';

/**
 * Rows that exchanged values of a second unique key block each other whichever goes first. In each such group the values are
 * first parked (null, or a value that no row has), then set; where none can be parked, the rows are deleted and inserted again,
 * unless that would cascade into other tables. Whole groups or not at all; only rows that are in the batch are touched.
 * Gives the rows that still fail.
 */
export async function untangle(
  connection: TargetConnection,
  failed: readonly FailedRow[],
  replica: boolean,
): Promise<readonly FailedRow[]> {
  const candidates = failed.filter((row) => row.code === '23505' && row.operation === 'upsert');
  const left = new Set(failed);
  for (const table of new Set(candidates.map((row) => row.table))) {
    const rows = candidates.filter((row) => row.table === table);
    for (const group of await groups(connection, table, rows)) {
      if (group.length < 2) continue;
      if (await exchange(connection, table, group, replica)) group.forEach((row) => left.delete(row));
    }
  }
  return [...left];
}

async function exchange(
  connection: TargetConnection,
  table: TargetTable,
  group: readonly FailedRow[],
  replica: boolean,
): Promise<boolean> {
  const parked = parkSql(table, group);
  if (parked !== null && (await attempt(connection, parked)) === null) return true;
  if (!replica && table.deleteCascades) return false;
  return (await attempt(connection, replaceSql(table, group))) === null;
}

/** Frees the values of a second unique key that dead rows have and live rows want, before the dead ones go; null: none can be. */
export function parkDeadSql(table: TargetTable): string | null {
  const target = tableIdent(table.route.targetTable);
  const park = table.otherUniqueKeys.flatMap((unique) => {
    const columns = table.columns.filter((column) => unique.includes(column.target));
    const set = columns.flatMap((column) => parkedValue(table, column) ?? []).at(0);
    if (set === undefined || columns.length < unique.length) return [];
    const wanted = columns.map((column) => `t.${ident(column.target)} = ${stagedValue(column, 'w')}`).join(' and '); // prettier-ignore
    return [`update ${target} t set ${set} from ${stageName(table)} s where not s.live and ${stagedKey(table)} and exists (select from ${stageName(table)} w where w.live and ${wanted})`]; // prettier-ignore
  });
  return park.length === 0 ? null : park.join(';\n');
}

/** Null: some unique key has no column that a value can be parked in. */
function parkSql(table: TargetTable, group: readonly FailedRow[]): string | null {
  const parked = table.otherUniqueKeys.map((unique) =>
    table.columns.flatMap((column) => (unique.includes(column.target) ? (parkedValue(table, column) ?? []) : [])).at(0),
  );
  if (parked.includes(undefined)) return null;
  const name = tableIdent(table.route.targetTable);
  const set = [...new Set(parked)].join(', ');
  // One row after the other: each parked value is made from those before it.
  const park = group.map(
    (row) =>
      `update ${name} t set ${set} from ${stageName(table)} s where ${stagedKey(table)} and s.ctid = '${showTid(row.tid)}'::tid`,
  );
  const update = updateSql(table);
  return [...park, ...(update === null ? [] : [update]), insertSql(table)]
    .map((sql, place) => (place < park.length ? sql : `${sql} and ${among(group)}`))
    .join(';\n');
}

function parkedValue(table: TargetTable, column: TargetColumn): string | null {
  if (column.isKey || column.identity) return null;
  const name = ident(column.target);
  if (!column.notNull) return `${name} = null`;
  if (textTypes.has(column.targetType)) return `${name} = pg_catalog.gen_random_uuid()::text`;
  if (column.targetType === 'uuid') return `${name} = pg_catalog.gen_random_uuid()`;
  if (numberTypes.has(column.targetType))
    return `${name} = (select pg_catalog.min(m.${name}) from ${tableIdent(table.route.targetTable)} m) - 1 - ${placeInStage}`;
  return null;
}

// A number of its own for each staged row, from 0.
const placeInStage = '((s.ctid::text::point)[0]::integer * 300 + (s.ctid::text::point)[1]::integer)';

const textTypes: ReadonlySet<string> = new Set(['text', 'character varying']);
const numberTypes: ReadonlySet<string> = new Set(['smallint', 'integer', 'bigint', 'numeric']);

/** Connected components of "wants a value that the other still has". */
async function groups(
  connection: TargetConnection,
  table: TargetTable,
  rows: readonly FailedRow[],
): Promise<readonly (readonly FailedRow[])[]> {
  const byTid = new Map(rows.map((row) => [showTid(row.tid), row]));
  const groupOf = new Map([...byTid.keys()].map((tid) => [tid, new Set([tid])]));
  for (const { wants, has } of await blockers(connection, table, [...byTid.keys()])) {
    const one = groupOf.get(wants);
    const other = groupOf.get(has);
    if (one === undefined || other === undefined || one === other) continue;
    other.forEach((tid) => {
      one.add(tid);
      groupOf.set(tid, one);
    });
  }
  return [...new Set(groupOf.values())].map((tids) => [...tids].flatMap((tid) => byTid.get(tid) ?? []));
}

async function blockers(
  connection: TargetConnection,
  table: TargetTable,
  tids: readonly string[],
): Promise<readonly { wants: string; has: string }[]> {
  const list = `'{${tids.map((tid) => `"${tid}"`).join(',')}}'::tid[]`;
  const queries = table.otherUniqueKeys.flatMap((unique) => {
    const columns = unique.map((name) => table.columns.find((column) => column.target === name));
    // An index over a column that the route does not bring cannot be settled by the batch's rows.
    if (columns.includes(undefined)) return [];
    const same = columns.flatMap((column) =>
      column === undefined ? [] : [`t.${ident(column.target)} = ${stagedValue(column)}`],
    );
    const holder = keyOf(table).map((column) => `t.${ident(column.target)} = ${stagedValue(column, 'h')}`);
    return [
      `select s.ctid::text as wants, h.ctid::text as has from ${stageName(table)} s join ${tableIdent(table.route.targetTable)} t on ${same.join(' and ')}
join ${stageName(table)} h on ${holder.join(' and ')} where s.ctid = any (${list}) and h.ctid = any (${list}) and h.ctid <> s.ctid`,
    ];
  });
  if (queries.length === 0) return [];
  const found = await connection.script(queries.join('\nunion all\n'));
  return found.map((row) => ({ wants: String(row['wants']), has: String(row['has']) }));
}

function replaceSql(table: TargetTable, group: readonly FailedRow[]): string {
  return `delete from ${tableIdent(table.route.targetTable)} t using ${stageName(table)} s where ${among(group)} and ${stagedKey(table)};
${insertSql(table)} and ${among(group)}`;
}

function stagedKey(table: TargetTable): string {
  return keyOf(table)
    .map((column) => `t.${ident(column.target)} = ${stagedValue(column)}`)
    .join(' and ');
}

function among(group: readonly FailedRow[]): string {
  return `s.ctid = any ('{${group.map((row) => `"${showTid(row.tid)}"`).join(',')}}'::tid[])`;
}
