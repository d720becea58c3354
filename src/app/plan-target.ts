import { PgrepError } from '../core/error.ts';
import { showTable, type Route, type TableName, type TwoWay } from '../core/route.ts';
import { tableIdent } from '../db/quote.ts';
import { loadRoutes } from '../db/route-store.ts';
import { findTable, type ColumnDescription, type TableDescription } from '../db/table-description.ts';
import { indexBodyFor } from '../targets/elasticsearch/index-setup.ts';
import { configuredNode, type App } from './open.ts';
import { planColumns } from './plan-route.ts';
import type { AddTableOptions, PlannedSql } from './results.ts';
import { changeRouteSql, insertRouteSql, type StoredRoute } from './route-changes.ts';

/** A route to one target, checked but not stored. */
export interface PlannedRoute {
  readonly route: Route;
  readonly stored: StoredRoute;
  /** The route that is there already; null: a new one. */
  readonly existing: Route | null;
  /** True when columns or filter are other than the existing route's. */
  readonly differs: boolean;
}

/** What a route is planned from. */
export interface TargetPlanInput {
  readonly from: string;
  readonly to: string;
  readonly description: TableDescription;
  readonly key: readonly string[];
  readonly tableId: string;
  readonly packed: boolean;
  readonly options: Pick<AddTableOptions, 'as' | 'index' | 'columns' | 'map' | 'where'>;
  /** Null: a one-way route. */
  readonly twoWay?: TwoWay | null;
}

/** Plans the route to one target; a Postgres target checks it. Changes nothing anywhere. */
export async function planTargetRoute(app: App, input: TargetPlanInput, signal: AbortSignal): Promise<PlannedRoute> {
  const { from, to, description, key, options } = input;
  const kind = configuredNode(app.config, to).kind;
  const existing = await existingRoute(app, input);
  const target = targetName(kind, input, existing);
  if (existing !== null && showTable(existing.targetTable) !== showTable(target))
    throw otherTarget(input, existing, target);
  const generated = kind === 'postgres' ? await generatedColumns(app, to, target) : new Set<string>();
  const keeps = (_column: ColumnDescription, name: string): boolean => kind === 'elasticsearch' || !generated.has(name);
  const inherited = existing === null ? options : inheritedOptions(existing, options);
  const columns = planColumns(description, key, inherited, keeps);
  const filter = options.where ?? existing?.filter ?? null;
  const route = { id: '0', tableId: input.tableId, source: from, target: to, sourceTable: description.table, targetTable: target, key, columns, filter, state: 'copying', sweep: false, packed: input.packed, twoWay: null } as const; // prettier-ignore
  if (kind === 'postgres') await checkAtTarget(app, route, signal);
  const stored = { tableId: input.tableId, target: to, targetKind: kind, targetSchema: target.schema, targetName: target.name, columns: columns.map(({ source, target: name }) => ({ source, target: name })), filter, twoWay: input.twoWay ?? null } as const; // prettier-ignore
  return { route, stored, existing, differs: existing !== null && !sameRoute(existing, stored) };
}

async function existingRoute(app: App, input: TargetPlanInput): Promise<Route | null> {
  const session = await app.session(input.from);
  const { rows } = await session.query("select pg_catalog.to_regclass('pgrep.route') is not null as there");
  if (rows[0]?.['there'] !== 't') return null;
  const { schema, name } = input.description.table;
  return (await loadRoutes(session, input.from, { target: input.to, schema, name }))[0] ?? null;
}

// Repeating add-table without an option means "as it is", not "all columns", "all rows" or "the same names".
function inheritedOptions(
  existing: Route,
  options: TargetPlanInput['options'],
): Required<Pick<AddTableOptions, 'columns' | 'map'>> {
  const there = existing.columns.map((column) => column.source);
  const columns = options.columns ?? [...new Set([...there, ...Object.keys(options.map ?? {})])];
  const renamed = existing.columns.filter(({ source, target }) => source !== target && columns.includes(source));
  return { columns, map: options.map ?? Object.fromEntries(renamed.map(({ source, target }) => [source, target])) };
}

function sameRoute(existing: Route, stored: StoredRoute): boolean {
  const columns = existing.columns.map(({ source, target }) => ({ source, target }));
  return existing.filter === stored.filter && JSON.stringify(columns) === JSON.stringify(stored.columns);
}

function targetName(
  kind: 'postgres' | 'elasticsearch',
  { description, options }: TargetPlanInput,
  existing: Route | null,
): TableName {
  const { table } = description;
  if (kind === 'postgres') return options.as ?? existing?.targetTable ?? table;
  return { schema: '', name: options.index ?? existing?.targetTable.name ?? defaultIndex(table) };
}

// Elasticsearch: lower case, none of \ / * ? " < > | , # : or space, not beginning with - _ +.
function defaultIndex(table: TableName): string {
  return `${table.schema}_${table.name}`.toLowerCase().replaceAll(/[\\/*?"<>|,#:\s]/g, '_').replace(/^[-_+]+/, ''); // prettier-ignore
}

async function generatedColumns(app: App, node: string, table: TableName): Promise<ReadonlySet<string>> {
  const description = await findTable(await app.session(node), table);
  return new Set(
    (description?.columns ?? []).filter((column) => column.generated !== 'no').map((column) => column.name),
  );
}

async function checkAtTarget(app: App, route: Route, signal: AbortSignal): Promise<void> {
  const link = { source: route.source, target: route.target };
  await using target = await app.connections(link).openTarget(app.session(route.source));
  await target.prepare([route], signal);
}

/** Has an Elasticsearch target check the route, which makes its index where that is missing; other targets have checked theirs. */
export async function prepareIndex(app: App, planned: PlannedRoute, signal: AbortSignal): Promise<void> {
  if (planned.stored.targetKind === 'elasticsearch') await checkAtTarget(app, planned.route, signal);
}

/** Refuses to begin a copy into a Postgres table that holds rows of its own, unless told what to do with them. */
export async function refuseFilledTarget(app: App, planned: PlannedRoute, options: AddTableOptions): Promise<void> {
  const { stored, existing } = planned;
  if (stored.targetKind !== 'postgres' || existing !== null || !options.copy || options.replace) return;
  const table = { schema: stored.targetSchema, name: stored.targetName };
  if (!(await holdsRows(app, stored.target, table))) return;
  throw new PgrepError(
    'route',
    `Table ${showTable(table)} of node ${stored.target} already holds rows, which a copy would overwrite.`,
    {
      hint: 'If they are the same rows, add --no-copy. If they may be overwritten and, where the source lacks them, deleted, add --replace.',
    },
  );
}

/** True when a node's table is not empty. */
export async function holdsRows(app: App, node: string, table: TableName): Promise<boolean> {
  const session = await app.session(node);
  const { rows } = await session.query(`select exists (select from ${tableIdent(table)}) as filled`);
  return rows[0]?.['filled'] === 't';
}

function otherTarget({ description, to }: TargetPlanInput, existing: Route, wanted: TableName): PgrepError {
  const name = (table: TableName): string => (table.schema === '' ? `index ${table.name}` : showTable(table));
  return new PgrepError(
    'route',
    `${showTable(description.table)} is replicated to ${name(existing.targetTable)} of ${to} already; a route cannot move to ${name(wanted)}.`,
    {
      hint: `Remove it first (pgrep remove-table ${showTable(description.table)} --to ${to}; rows at the target stay), then add it again.`,
    },
  );
}

/** What a dry run shows of a route: the row that is stored (`sweep`: as `insertRoute` is told), and the index that would be made. */
export function showPlannedTarget(
  planned: PlannedRoute,
  { from, description, sweep }: { from: string; description: TableDescription; sweep: boolean },
): readonly PlannedSql[] {
  const { stored, existing } = planned;
  const text =
    existing === null
      ? insertRouteSql(stored, sweep)
      : planned.differs
        ? changeRouteSql(existing.id, stored)
        : '-- the route is there already and stays as it is';
  if (stored.targetKind === 'postgres') return [{ node: from, text }];
  const route = { sourceTable: description.table, targetTable: { schema: '', name: stored.targetName }, key: [], columns: stored.columns.map((column) => ({ ...column, type: '', typeOid: '0' })) }; // prettier-ignore
  const body = JSON.stringify(indexBodyFor(route, description), null, 2);
  return [
    { node: from, text },
    { node: stored.target, text: `PUT /${stored.targetName}\n${body}` },
  ];
}
