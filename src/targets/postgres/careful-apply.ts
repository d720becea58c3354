import { PgrepError } from '../../core/error.ts';
import type { RefusedRow } from '../target.ts';
import { countStagedSql, deleteSql, insertSql, stageName, updateSql } from './apply-sql.ts';
import type { TargetConnection } from './connection.ts';
import { upsertsFirst } from './fast-apply.ts';
import { describeStagedSql } from './refused-sql.ts';
import { attempt } from './savepoint.ts';
import { showTid, splitRange, sqlRange, wholeStage, type Tid, type TidRange } from './stage-range.ts';
import { parentsFirst } from './table-order.ts';
import type { TargetTable } from './target-table.ts';
import { parkDeadSql, untangle } from './unique-exchange.ts';

/** A staged row that failed by itself, with the error of its last try. */
export interface FailedRow {
  readonly table: TargetTable;
  readonly operation: Operation;
  readonly tid: Tid;
  readonly code: string;
  readonly message: string;
}

/** A refused row and where it is staged. */
export interface RefusedStaged {
  readonly row: RefusedRow;
  readonly table: TargetTable;
  readonly tid: string;
}

export type Operation = 'delete' | 'upsert';

interface Part {
  readonly table: TargetTable;
  readonly operation: Operation;
  readonly range: TidRange;
  /** A statement that must hold after it. */
  readonly check?: string;
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
): Promise<readonly RefusedStaged[]> {
  const ordered = parentsFirst(tables);
  const deletes = await wholeTables(connection, [...ordered].reverse(), 'delete');
  const upserts = await wholeTables(connection, ordered, 'upsert');
  const failed = upsertsFirst(tables, replica)
    ? await upsertThenDelete(connection, { upserts, deletes })
    : await settle(connection, [...deletes, ...upserts], replica);
  return inOrder(failed, (row) => describe(connection, row));
}

/** Applies parts until none of what failed gets through any more; gives that. */
async function settle(
  connection: TargetConnection,
  all: readonly Part[],
  replica: boolean,
): Promise<readonly FailedRow[]> {
  let parts = all;
  let failed: readonly FailedRow[] = [];
  for (;;) {
    const before: number = failed.length;
    failed = (await inOrder(parts, (part) => applyPart(connection, part))).flat();
    if (failed.length === 0) return [];
    if (before > 0 && failed.length === before) {
      const left = await untangle(connection, await together(connection, failed), replica);
      if (left.length === failed.length) return left;
      failed = left;
    }
    parts = failed.map((row) => ({ ...partOf(row), check: all[0]?.check ?? '' }));
  }
}

/**
 * Where deletes cascade: they wait until every row that is to leave its parent has left it, and none may take a row with it that
 * was refused: with that row everything that hangs on it would go, which is not in the batch.
 */
async function upsertThenDelete(
  connection: TargetConnection,
  { upserts, deletes }: { upserts: readonly Part[]; deletes: readonly Part[] },
): Promise<readonly FailedRow[]> {
  for (const { table } of upserts) {
    const park = parkDeadSql(table);
    if (park !== null) await attempt(connection, park);
  }
  const refused = await settle(connection, upserts, false);
  const check = await staySql(connection, refused);
  const kept = await settle(connection, deletes.map((part) => ({ ...part, check })), false); // prettier-ignore
  return [...kept, ...(refused.length === 0 ? [] : await settle(connection, refused.map(partOf), false))];
}

/** A statement that fails unless all refused rows that the target has now are still there. */
async function staySql(connection: TargetConnection, refused: readonly FailedRow[]): Promise<string> {
  const tables = [...new Set(refused.map((row) => row.table))];
  if (tables.length === 0) return '';
  const counts = tables.map((table) => countStagedSql(table, refused.filter((row) => row.table === table).map((row) => showTid(row.tid)))); // prettier-ignore
  const sum = counts.map((count) => `(${count})`).join(' + ');
  const rows = await connection.script(`select (${sum})::text as there`);
  return `do $pgrep$ begin
  if ${sum} < ${Number(rows[0]?.['there'])} then
    raise exception using errcode = '23503', message = 'a row that was refused hangs on this one and would be deleted with it';
  end if;
end $pgrep$`;
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
  const check = part.check ?? '';
  const error = await attempt(connection, check === '' ? partSql(part) : `${partSql(part)};\n${check}`);
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

async function describe(connection: TargetConnection, row: FailedRow): Promise<RefusedStaged> {
  const staged = { table: row.table, tid: showTid(row.tid) };
  return { ...staged, row: await describeStaged(connection, staged, { reason: row.code, message: row.message }) };
}

/** What the operator needs to know of a staged row. */
export async function describeStaged(
  connection: TargetConnection,
  { table, tid }: Omit<RefusedStaged, 'row'>,
  why: Pick<RefusedRow, 'reason' | 'message'>,
): Promise<RefusedRow> {
  const rows = await connection.script(describeStagedSql(table, tid));
  const found = rows[0];
  if (found === undefined)
    throw new PgrepError('bug', `A refused row of ${table.route.targetTable.name} is not in its stage.`);
  return {
    route: table.route,
    key: JSON.parse(String(found['key'])) as readonly string[],
    statement: String(found['statement']),
    ...why,
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
