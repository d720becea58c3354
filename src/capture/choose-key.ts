import { PgrepError } from '../core/error.ts';
import { showTable } from '../core/route.ts';
import type { TableDescription, UniqueIndex } from '../db/table-description.ts';

/**
 * The columns that tell a table's rows apart, in key order: the primary key, or `wanted` when given.
 * Throws `table` with advice when they are missing, nullable, or not unique at every moment.
 */
export function chooseKey(description: TableDescription, wanted?: readonly string[]): readonly string[] {
  if (wanted !== undefined && wanted.length > 0) return checkWanted(description, wanted);
  const primary = description.uniqueIndexes.find((index) => index.primary);
  if (primary === undefined) throw noKey(description);
  if (!tellsApart(primary)) throw unusableIndex(description, primary);
  return primary.columns;
}

function checkWanted(description: TableDescription, wanted: readonly string[]): readonly string[] {
  const twice = wanted.find((name, place) => wanted.indexOf(name) !== place);
  if (twice !== undefined) throw keyError(description, `names column ${twice} twice`, 'Name each key column once.');
  for (const name of wanted) checkColumn(description, name);
  const matching = description.uniqueIndexes.filter((index) => sameColumns(index.columns, wanted));
  if (matching.some(tellsApart)) return wanted;
  const [unusable] = matching;
  if (unusable !== undefined) throw unusableIndex(description, unusable);
  const columns = wanted.map(quoted).join(', ');
  throw keyError(
    description,
    `(${wanted.join(', ')}) has no unique index`,
    `Two rows could have the same key. Make one: create unique index concurrently on ${quotedTable(description)} (${columns});`,
  );
}

function checkColumn(description: TableDescription, name: string): void {
  const column = description.columns.find((candidate) => candidate.name === name);
  if (column === undefined) {
    const names = description.columns.map((candidate) => candidate.name).join(', ');
    throw keyError(description, `names column ${name}, which the table does not have`, `Its columns are: ${names}.`);
  }
  if (column.notNull) return;
  throw keyError(
    description,
    `names column ${name}, which may be null`,
    `A null never equals itself, so such a row could not be found again. Forbid it: alter table ${quotedTable(description)} alter column ${quoted(name)} set not null;`,
  );
}

function noKey(description: TableDescription): PgrepError {
  const usable = description.uniqueIndexes.find(
    (index) => tellsApart(index) && index.columns.every((name) => isNotNull(description, name)),
  );
  const hint =
    usable === undefined
      ? `Add one: alter table ${quotedTable(description)} add primary key (…); or make a unique index on columns that are not null and name them: --key a,b.`
      : `Its unique index ${usable.name} would do: --key ${usable.columns.join(',')}.`;
  return new PgrepError(
    'table',
    `Table ${showTable(description.table)} has no primary key, so its rows cannot be told apart.`,
    { hint },
  );
}

/** A deferrable index will do: rows are read in snapshots, and at each commit it holds. So two rows may exchange keys in one statement. */
function tellsApart(index: UniqueIndex): boolean {
  return index.problem === null || index.problem === 'deferrable';
}

function isNotNull(description: TableDescription, name: string): boolean {
  return description.columns.some((column) => column.name === name && column.notNull);
}

function unusableIndex(description: TableDescription, index: UniqueIndex): PgrepError {
  const { what, hint } = explain(index);
  const kind = index.primary ? 'primary key' : 'unique index';
  return new PgrepError(
    'table',
    `The ${kind} ${index.name} of table ${showTable(description.table)} cannot serve as a key: ${what}.`,
    { hint },
  );
}

function explain(index: UniqueIndex): { what: string; hint: string } {
  const another = 'name the columns of another unique index with --key.';
  switch (index.problem) {
    case 'invalid':
      return {
        what: 'it is not valid (its building failed or goes on)',
        hint: `Build it anew: reindex index concurrently ${quoted(index.name)}; or ${another}`,
      };
    case 'partial':
      return {
        what: 'it covers only some rows (it has a where clause)',
        hint: `Make a unique index without a where clause, or ${another}`,
      };
    case 'expression':
      return { what: 'it is on an expression', hint: `Make a unique index on plain columns, or ${another}` };
    case 'withoutOverlaps':
      return {
        what: 'it forbids overlaps, which is not the same as being equal',
        hint: `Make a unique index on plain columns, or ${another}`,
      };
    case 'deferrable':
    case null:
      return { what: 'it is sound', hint: 'This is a bug; please report it.' };
  }
}

function keyError(description: TableDescription, what: string, hint: string): PgrepError {
  return new PgrepError('table', `The key for table ${showTable(description.table)} ${what}.`, { hint });
}

function sameColumns(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}

// For advice to be typed by a person: quoted only where SQL needs it.
function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function quotedTable(description: TableDescription): string {
  return `${quoted(description.table.schema)}.${quoted(description.table.name)}`;
}
