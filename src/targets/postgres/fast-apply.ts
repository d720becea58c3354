import { deleteSql, insertSql, liveName, mergeSql, stageName, sweepSql, updateSql } from './apply-sql.ts';
import type { StagedTable } from './stage.ts';
import type { TargetTable } from './target-table.ts';

export interface FastOptions {
  /** Few rows: statements are prepared, and go by index. */
  readonly small: boolean;
  /** The server knows MERGE (15 and later). */
  readonly mergeable: boolean;
  /** Foreign keys are silent. */
  readonly replica: boolean;
}

/**
 * The statements that merge what is staged, in order. `tables` are in foreign-key order, parents first. Any row's error fails the
 * whole; the caller then applies carefully.
 */
export function fastStatements(tables: readonly StagedTable[], options: FastOptions): readonly string[] {
  const statements = tables.every((staged) => options.mergeable && oneStatement(staged, tables))
    ? tables.map(({ table }) => mergeSql(table, true))
    : inSteps(tables, options);
  return [...(options.small ? [] : [byCost]), ...statements];
}

/** Statements that empty the stages: row by row after few rows, by TRUNCATE (new files, some catalog rows) after many. None for a batch without tables. */
export function emptyStages(tables: readonly StagedTable[], truncate: boolean): readonly string[] {
  if (truncate && tables.length > 0)
    return [`truncate ${tables.flatMap(({ table }) => [stageName(table), liveName(table)]).join(', ')}`];
  return tables.map(({ table }) => `delete from ${stageName(table)}`);
}

// A large batch is better merged by hash join than by 200,000 index probes; the planner sees the stage's size and decides.
const byCost = 'set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on';

/** True when the order of deletes, updates and inserts within and between tables cannot matter. */
function oneStatement({ table, changed }: StagedTable, tables: readonly StagedTable[]): boolean {
  return (
    !changed.sweep &&
    !table.hasOtherUnique &&
    !table.references.some((oid) => tables.some((other) => other.table.oid === oid))
  );
}

/** Deletes children first and updates and inserts parents first; which of the two first: see `upsertsFirst`. */
function inSteps(tables: readonly StagedTable[], { mergeable, replica }: FastOptions): readonly string[] {
  const deletes = [...tables]
    .reverse()
    .flatMap(({ table, changed }) => [...(changed.sweep ? [sweepSql(table)] : []), deleteSql(table)]);
  const upserts = tables.flatMap(({ table }) =>
    mergeable ? [mergeSql(table, false)] : [updateSql(table), insertSql(table)].filter((sql) => sql !== null),
  );
  const first = upsertsFirst(tables.map(({ table }) => table), replica); // prettier-ignore
  return first ? [...upserts, ...deletes] : [...deletes, ...upserts];
}

/**
 * Deletes usually go first, so that the unique values they free can be taken. But where a delete cascades, a row that has left its
 * parent must have left it before the parent goes: else it would be deleted with all that hangs on it, which is not in the batch.
 */
export function upsertsFirst(tables: readonly TargetTable[], replica: boolean): boolean {
  return !replica && tables.some((table) => table.deleteCascades);
}
