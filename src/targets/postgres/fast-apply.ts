import { deleteSql, insertSql, mergeSql, sweepSql, updateSql } from './apply-sql.ts';
import type { StagedTable } from './stage.ts';
import type { TargetTable } from './target-table.ts';

/**
 * The statements that merge what is staged and commit, to be sent in one round trip. `tables` are in foreign-key order,
 * parents first. Any row's error fails the whole; the caller then applies carefully.
 */
export function fastApplySql(tables: readonly StagedTable[], options: { small: boolean; mergeable: boolean }): string {
  const statements = tables.every(({ table }) => options.mergeable && oneStatement(table, tables))
    ? tables.map(({ table }) => mergeSql(table, true))
    : inSteps(tables, options.mergeable);
  const sweeps = tables.flatMap(({ table, changed }) => (changed.sweep ? [sweepSql(table)] : []));
  return [...(options.small ? [] : [byCost]), ...sweeps, ...statements, 'commit'].join(';\n');
}

// A large batch is better merged by hash join than by 200,000 index probes; the planner sees the stage's size and decides.
const byCost = 'set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on';

/** True when the order of deletes, updates and inserts within and between tables cannot matter. */
function oneStatement(table: TargetTable, tables: readonly StagedTable[]): boolean {
  return !table.hasOtherUnique && !table.references.some((oid) => tables.some((other) => other.table.oid === oid));
}

/** Deletes children first, then updates and inserts parents first. */
function inSteps(tables: readonly StagedTable[], mergeable: boolean): readonly string[] {
  const deletes = [...tables].reverse().map(({ table }) => deleteSql(table));
  const upserts = tables.flatMap(({ table }) =>
    mergeable ? [mergeSql(table, false)] : [updateSql(table), insertSql(table)].filter((sql) => sql !== null),
  );
  return [...deletes, ...upserts];
}
