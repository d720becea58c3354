import { ident, tableIdent } from '../../db/quote.ts';
import { keyOf, insertSql, stagedValue, stageName } from './apply-sql.ts';
import type { FailedRow } from './careful-apply.ts';
import type { TargetConnection } from './connection.ts';
import { attempt } from './savepoint.ts';
import { showTid } from './stage-range.ts';
import type { TargetTable } from './target-table.ts';

/**
 * Rows that exchanged values of a second unique key block each other whichever goes first. Each such group is deleted and
 * inserted again in one step, whole or not at all; only rows that are themselves in the batch are ever deleted.
 * Left as refused where a delete would cascade into other tables (unless replica role keeps those triggers silent).
 * Gives the rows that still fail.
 */
export async function untangle(
  connection: TargetConnection,
  failed: readonly FailedRow[],
  replica: boolean,
): Promise<readonly FailedRow[]> {
  const candidates = failed.filter(
    (row) => row.code === '23505' && row.operation === 'upsert' && (replica || !row.table.deleteCascades),
  );
  const left = new Set(failed);
  for (const table of new Set(candidates.map((row) => row.table))) {
    const rows = candidates.filter((row) => row.table === table);
    for (const group of await groups(connection, table, rows)) {
      if (group.length < 2) continue;
      if ((await attempt(connection, replaceSql(table, group))) === null) group.forEach((row) => left.delete(row));
    }
  }
  return [...left];
}

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
    const holder = keyOf(table).map(
      (column) => `t.${ident(column.target)} = ${stagedValue(column).replace(/^s\./, 'h.')}`,
    );
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
  const list = `'{${group.map((row) => `"${showTid(row.tid)}"`).join(',')}}'::tid[]`;
  const key = keyOf(table).map((column) => `t.${ident(column.target)} = ${stagedValue(column)}`);
  return `delete from ${tableIdent(table.route.targetTable)} t using ${stageName(table)} s where s.ctid = any (${list}) and ${key.join(' and ')};
${insertSql(table)} and s.ctid = any (${list})`;
}
