import { PgrepError } from '../../core/error.ts';
import type { RefusedRow } from '../target.ts';
import { deleteSql, insertSql, stageName, updateSql } from './apply-sql.ts';
import type { TargetConnection } from './connection.ts';
import { upsertsFirst } from './fast-apply.ts';
import { describeStagedSql } from './refused-sql.ts';
import { attempt } from './savepoint.ts';
import { showTid, splitRange, sqlRange, wholeStage, type Tid, type TidRange } from './stage-range.ts';
import { parentsFirst } from './table-order.ts';
import type { TargetTable } from './target-table.ts';
import { untangle } from './unique-exchange.ts';

/** A staged row that failed by itself, with the error of its last try. */
export interface FailedRow {
  readonly table: TargetTable;
  readonly operation: Operation;
  readonly tid: Tid;
  readonly code: string;
  readonly message: string;
}

export type Operation = 'delete' | 'upsert';

interface Part {
  readonly table: TargetTable;
  readonly operation: Operation;
  readonly range: TidRange;
}

/**
 * Applies what is staged, row by row where need be: savepoints and bisection find the rows that the target refuses, all
 * others are applied. Rows that failed are tried again as long as others got through meanwhile (a parent that came later, a
 * unique value that became free); unique values that were exchanged are untangled last. Gives the rows that remain.
 * To be called inside the batch's transaction, with constraints immediate.
 */
export async function applyCarefully(
  connection: TargetConnection,
  tables: readonly TargetTable[],
  replica: boolean,
): Promise<readonly RefusedRow[]> {
  const ordered = parentsFirst(tables);
  const deletes = await wholeTables(connection, [...ordered].reverse(), 'delete');
  const upserts = await wholeTables(connection, ordered, 'upsert');
  let parts = upsertsFirst(tables, replica) ? [...upserts, ...deletes] : [...deletes, ...upserts];
  let failed: readonly FailedRow[] = [];
  for (;;) {
    const before: number = failed.length;
    failed = (await inOrder(parts, (part) => applyPart(connection, part))).flat();
    if (failed.length === 0) return [];
    if (before > 0 && failed.length === before) {
      const left = await untangle(connection, await together(connection, failed), replica);
      if (left.length === failed.length) return inOrder(left, (row) => describe(connection, row));
      failed = left;
    }
    parts = failed.map(partOf);
  }
}

/** Rows that reference each other in a circle get in only at once, under deferred constraints. Gives the rows that still fail. */
async function together(connection: TargetConnection, failed: readonly FailedRow[]): Promise<readonly FailedRow[]> {
  const circle = failed.filter((row) => row.code === '23503' && row.operation === 'upsert');
  if (circle.length < 2) return failed;
  const error = await attempt(
    connection,
    ['set constraints all deferred', ...circle.map((row) => partSql(partOf(row)))].join(';\n'),
  );
  return error === null ? failed.filter((row) => !circle.includes(row)) : failed;
}

function partOf({ table, operation, tid }: FailedRow): Part {
  return { table, operation, range: { from: tid, to: { block: tid.block, line: tid.line + 1 } } };
}

async function wholeTables(
  connection: TargetConnection,
  tables: readonly TargetTable[],
  operation: Operation,
): Promise<readonly Part[]> {
  return inOrder(tables, async (table) => {
    const rows = await connection.script(
      `select (pg_catalog.pg_relation_size('${stageName(table)}') / pg_catalog.current_setting('block_size')::bigint)::text as blocks`,
    );
    return { table, operation, range: wholeStage(Number(rows[0]?.['blocks'])) };
  });
}

async function applyPart(connection: TargetConnection, part: Part): Promise<readonly FailedRow[]> {
  const error = await attempt(connection, partSql(part));
  if (error === null) return [];
  const halves = splitRange(part.range);
  if (halves === null) return [{ table: part.table, operation: part.operation, tid: part.range.from, ...error }];
  return (await inOrder(halves, (range) => applyPart(connection, { ...part, range }))).flat();
}

function partSql({ table, operation, range }: Part): string {
  const part = sqlRange(range);
  if (operation === 'delete') return deleteSql(table, part);
  return [updateSql(table, part), insertSql(table, part)].filter((sql) => sql !== null).join(';\n');
}

async function describe(connection: TargetConnection, row: FailedRow): Promise<RefusedRow> {
  const rows = await connection.script(describeStagedSql(row.table, showTid(row.tid)));
  const found = rows[0];
  if (found === undefined)
    throw new PgrepError('bug', `A refused row of ${row.table.route.targetTable.name} is not in its stage.`);
  return {
    route: row.table.route,
    key: JSON.parse(String(found['key'])) as readonly string[],
    statement: String(found['statement']),
    reason: row.code,
    message: row.message,
  };
}

/** Maps one after the other: the connection takes one savepoint at a time. */
async function inOrder<Item, Result>(
  items: readonly Item[],
  each: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const item of items) results.push(await each(item));
  return results;
}
