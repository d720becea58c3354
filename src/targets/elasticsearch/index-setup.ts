import { PgrepError } from '../../core/error.ts';
import { showTable, type Route } from '../../core/route.ts';
import { describeTable, type TableDescription } from '../../db/table-description.ts';
import type { Destination } from './bulk-sender.ts';
import { expectJson, parseObject, serverReason, type Answer, type Cluster } from './cluster.ts';
import type { DocumentShape } from './copy-statement.ts';
import { fieldOf } from './field-type.ts';
import {
  createIndexBody,
  gcDeletes,
  missingFields,
  properties,
  writeAlias,
  type FieldMapping,
  type IndexField,
} from './mapping.ts';
import { refreshingOf, setRefreshing, type Refreshing } from './refresh.ts';
import type { SourceStore } from './source-state.ts';

/** What a route writes and where. */
export interface PreparedRoute {
  readonly destination: Destination;
  readonly shape: DocumentShape;
  readonly refreshing: Refreshing;
}

/** What decides on a route's documents. */
export type IndexedRoute = Pick<Route, 'sourceTable' | 'targetTable' | 'key' | 'columns'>;

/** Body of `PUT /<index>` for a route, as `add-table --dry-run` shows it. Throws `table` when a column is missing. */
export function indexBodyFor(route: IndexedRoute, table: TableDescription): FieldMapping {
  return createIndexBody(route.targetTable.name, fieldsOf(shapeOf(route, table)));
}

/** Makes the index of a route, or checks the one that is there; throws `target` when it cannot take the route's documents. */
export async function prepareRoute(
  cluster: Cluster,
  source: SourceStore,
  route: IndexedRoute & Pick<Route, 'state'>,
  signal: AbortSignal,
): Promise<PreparedRoute> {
  const shape = shapeOf(route, await describeTable(source, route.sourceTable));
  const setup = { cluster, name: route.targetTable.name, fields: fieldsOf(shape), signal };
  const { destination, refreshing } = await prepareIndex(setup);
  if (refreshing !== 'seldom' || route.state === 'copying') return { destination, shape, refreshing };
  // A copy ended without putting this right.
  await setRefreshing(cluster, destination.index, 'default', signal);
  return { destination, shape, refreshing: 'default' };
}

function shapeOf(route: IndexedRoute, table: TableDescription): DocumentShape {
  const column = (name: string): TableDescription['columns'][number] => {
    const found = table.columns.find((candidate) => candidate.name === name);
    if (found !== undefined) return found;
    throw new PgrepError(
      'table',
      `Table ${showTable(route.sourceTable)} has no column ${name} any more, but its route replicates it.`,
      {
        hint: `Run pgrep add-table ${showTable(route.sourceTable)} again with the columns that there are.`,
      },
    );
  };
  return {
    key: route.key.map((name) => ({ name, column: column(name) })),
    fields: route.columns.map((c) => ({ source: c.source, target: c.target, type: fieldOf(column(c.source)) })),
  };
}

function fieldsOf(shape: DocumentShape): IndexField[] {
  return shape.fields.map((field) => ({ name: field.target, type: field.type }));
}

interface ExistingIndex {
  readonly aliases?: Readonly<Record<string, unknown>>;
  readonly mappings?: {
    readonly dynamic?: unknown;
    readonly properties?: unknown;
    readonly _meta?: { readonly pgrep?: unknown };
  };
  readonly settings?: { readonly index?: { readonly gc_deletes?: string; readonly refresh_interval?: string } };
}

/** One index at one cluster, and what shall be written to it. */
interface Setup {
  readonly cluster: Cluster;
  /** An index, or an alias of one. */
  readonly name: string;
  readonly fields: readonly IndexField[];
  readonly signal: AbortSignal;
}

async function prepareIndex(setup: Setup): Promise<Pick<PreparedRoute, 'destination' | 'refreshing'>> {
  const { cluster, name, fields, signal } = setup;
  const path = `/${encodeURIComponent(name)}`;
  for (;;) {
    const answer = await cluster.request({ method: 'GET', path }, signal);
    if (answer.status !== 404) return adoptIndex(setup, expectJson(cluster.node, answer));
    const created = await cluster.request({ method: 'PUT', path, json: createIndexBody(name, fields) }, signal);
    if (created.status === 200) return { destination: { index: name, alias: writeAlias(name) }, refreshing: 'default' };
    // Someone else was quicker: look at what they made.
    if (errorType(created) === 'resource_already_exists_exception') continue;
    if (created.status !== 400) expectJson(cluster.node, created);
    const reason = serverReason(created.text);
    throw new PgrepError('target', `Index ${name} cannot be created at node ${cluster.node}: ${reason}.`, {
      hint: 'Choose a name that Elasticsearch takes with --index, other field names with --map, or create the index yourself.',
    });
  }
}

async function adoptIndex(
  setup: Setup,
  found: Readonly<Record<string, unknown>>,
): Promise<Pick<PreparedRoute, 'destination' | 'refreshing'>> {
  const { cluster, name } = setup;
  const [[index, state] = ['', {}], ...others] = Object.entries(found) as [string, ExistingIndex][];
  if (others.length > 0 || index === '') {
    const count = index === '' ? 0 : others.length + 1;
    throw new PgrepError(
      'target',
      `${name} at node ${cluster.node} stands for ${count} indices, but needs exactly one.`,
      {
        hint: 'Name one index, or an alias of one index, with --index.',
      },
    );
  }
  await checkMapping({ ...setup, name: index }, state);
  await rememberDeletes({ ...setup, name: index }, state);
  const refreshing = refreshingOf(state.settings?.index?.refresh_interval);
  // The route names an alias: that is what is written through.
  const alias = index === name ? await aliasOf(setup, state) : name;
  // How another's index is refreshed is not pgrep's to say.
  return { destination: { index, alias }, refreshing: state.mappings?._meta?.pgrep === true ? refreshing : 'own' };
}

/** The write alias of an index, made where it is missing; null: the login may not make it. */
async function aliasOf({ cluster, name, signal }: Setup, state: ExistingIndex): Promise<string | null> {
  const alias = writeAlias(name);
  if (state.aliases?.[alias] !== undefined) return alias;
  const path = `/${encodeURIComponent(name)}/_alias/${encodeURIComponent(alias)}`;
  const added = await cluster.request({ method: 'PUT', path }, signal);
  // Who may not make aliases may not make indices either, so no index can come into being by mistake.
  if (added.status === 403) return null;
  expectJson(cluster.node, added);
  return alias;
}

/** Refuses an index that would refuse the documents; adds new fields to one that pgrep made itself. */
async function checkMapping({ cluster, name, fields, signal }: Setup, state: ExistingIndex): Promise<void> {
  const missing = missingFields(fields, state.mappings ?? {});
  if (missing.length === 0) return;
  const isMissing = (field: IndexField): boolean =>
    missing.some((path) => path === field.name || path.startsWith(`${field.name}.`));
  const json = { properties: properties(fields.filter(isMissing)) };
  const path = `/${encodeURIComponent(name)}/_mapping`;
  if (state.mappings?._meta?.pgrep === true) {
    await cluster.json({ method: 'PUT', path, json }, signal);
    return;
  }
  const what = `${missing.length === 1 ? 'the field' : 'the fields'} ${missing.join(', ')}`;
  throw new PgrepError(
    'target',
    `Index ${name} at node ${cluster.node} has a strict mapping without ${what}: it would refuse every document.`,
    { hint: `Type PUT ${path} ${JSON.stringify(json)}; or leave the columns out with --columns.` },
  );
}

/** An index of someone else's may forget deletes after a minute; then a late build could bring a document back. */
async function rememberDeletes({ cluster, name, signal }: Setup, state: ExistingIndex): Promise<void> {
  if (durationSeconds(state.settings?.index?.gc_deletes ?? '60s') >= durationSeconds(gcDeletes)) return;
  const path = `/${encodeURIComponent(name)}/_settings`;
  await cluster.json({ method: 'PUT', path, json: { index: { gc_deletes: gcDeletes } } }, signal);
}

const unitSeconds: Readonly<Record<string, number>> = {
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
  ms: 0.001,
  micros: 1e-6,
  nanos: 1e-9,
};

/** Elasticsearch's time value (`10m`) in seconds; 0 when it is none. */
export function durationSeconds(text: string): number {
  const match = /^(\d+)([a-z]+)$/.exec(text);
  return Number(match?.[1] ?? 0) * (unitSeconds[match?.[2] ?? ''] ?? 0);
}

function errorType(answer: Answer): string {
  const error = parseObject(answer.text)?.['error'];
  return typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : '';
}
