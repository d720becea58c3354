import { PgrepError } from '../core/error.ts';
import { showTable, type RouteColumn } from '../core/route.ts';
import { literal, tableIdent } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { isSqlState, sqlState } from '../db/sqlstate.ts';
import type { ColumnDescription, TableDescription } from '../db/table-description.ts';
import { storedType } from '../db/table-description.ts';
import type { AddTableOptions } from './results.ts';

/**
 * The columns that a route replicates, in table order. Without `--columns`: all that `keeps` admits.
 * Throws `route` naming a column that does not exist, stands twice, or is a key column left out.
 */
export function planColumns(
  description: TableDescription,
  key: readonly string[],
  options: Pick<AddTableOptions, 'columns' | 'map'>,
  keeps: (column: ColumnDescription, targetName: string) => boolean,
): readonly RouteColumn[] {
  const map = options.map ?? {};
  for (const name of [...Object.keys(map), ...(options.columns ?? [])]) requireColumn(description, name);
  const missing = key.find((name) => options.columns !== undefined && !options.columns.includes(name));
  if (missing !== undefined) {
    throw new PgrepError(
      'route',
      `--columns leaves out ${missing}, which is part of the key of ${showTable(description.table)}.`,
      {
        hint: `Write --columns ${[...key, ...(options.columns ?? []).filter((name) => !key.includes(name))].join(',')}.`,
      },
    );
  }
  const columns = description.columns
    .filter((column) =>
      options.columns === undefined
        ? keeps(column, map[column.name] ?? column.name)
        : options.columns.includes(column.name),
    )
    .map((column) => routeColumn(column, map[column.name] ?? column.name));
  const twice = columns.find((column, index) => columns.findIndex((other) => other.target === column.target) !== index);
  if (twice === undefined) return columns;
  throw new PgrepError('route', `Two columns would both be ${twice.target} at the target.`, {
    hint: 'Give each a name of its own with --map source=target.',
  });
}

function routeColumn(column: ColumnDescription, target: string): RouteColumn {
  const stored = storedType(column.type);
  return { source: column.name, target, type: stored.sql, typeOid: stored.oid };
}

function requireColumn(description: TableDescription, name: string): void {
  if (description.columns.some((column) => column.name === name)) return;
  throw new PgrepError('route', `Table ${showTable(description.table)} has no column ${name}.`, {
    hint: `Its columns are: ${description.columns.map((column) => column.name).join(', ')}.`,
  });
}

/** Checks a row filter against its table. Throws `route` when it is not a condition over the table's own columns. */
export async function checkFilter(session: Session, description: TableDescription, filter: string): Promise<void> {
  const [found] = JSON.parse(await explainFilter(session, description, filter)) as readonly {
    readonly Plan: PlanNode;
  }[];
  if (found === undefined || readsRowsOnly(found.Plan)) return;
  throw new PgrepError(
    'route',
    '--where contains a query: a row that leaves or enters the filter because another table changed would go unnoticed.',
    { hint: 'Write a condition over the columns of the row itself.' },
  );
}

async function explainFilter(session: Session, description: TableDescription, filter: string): Promise<string> {
  try {
    const rows = `select from ${tableIdent(description.table)} where (${filter}\n) and $1::boolean`;
    // With a parameter only one statement is taken: a filter that ends this one and begins another is refused, not run.
    const found = await session.query(`explain (format json, costs off) ${rows}`, [true]);
    return String(found.rows[0]?.['QUERY PLAN']);
  } catch (error) {
    if (!isSqlState(sqlState(error)) && !(error instanceof PgrepError && error.code === 'privilege')) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new PgrepError(
      'route',
      `--where ${literal(filter)} cannot be used on ${showTable(description.table)}: ${text}.`,
      {
        hint: 'Write an SQL condition over the columns of the source table, for example --where "pk1 > 0".',
        cause: error,
      },
    );
  }
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Parent Relationship'?: string;
  readonly Plans?: readonly PlanNode[];
}

// What is left of a sub-query in a plan is a join, a sub-plan or a node that makes rows of its own.
function readsRowsOnly(node: PlanNode): boolean {
  const part = node['Parent Relationship'];
  if (!scans.has(node['Node Type']) || part === 'InitPlan' || part === 'SubPlan') return false;
  return (node.Plans ?? []).every(readsRowsOnly);
}

const scans: ReadonlySet<string> = new Set([
  'Seq Scan', 'Index Scan', 'Index Only Scan', 'Bitmap Heap Scan', 'Bitmap Index Scan', 'BitmapAnd', 'BitmapOr', 'Tid Scan',
  'Tid Range Scan', 'Result', 'Append', 'Gather',
]); // prettier-ignore
