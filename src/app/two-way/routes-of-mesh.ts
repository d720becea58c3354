import { PgrepError } from '../../core/error.ts';
import { showTable, type Route, type TableName } from '../../core/route.ts';
import { isMigrated } from '../../db/migrate.ts';
import { loadRoutes } from '../../db/route-store.ts';
import type { App } from '../open.ts';

/** A captured table at one node, with all routes that it has from there. */
export interface NodeTable {
  readonly node: string;
  readonly table: TableName;
  /** `pgrep.captured_table.table_id` as text. */
  readonly tableId: string;
  readonly routes: readonly Route[];
}

/** A table at a node; null: it is not captured there. */
export async function readNodeTable(app: App, node: string, table: TableName): Promise<NodeTable | null> {
  const session = await app.session(node);
  if (!(await isMigrated(session))) return null;
  const { rows } = await session.query(
    'select table_id from pgrep.captured_table where nsp_name = $1 and table_name = $2',
    [table.schema, table.name],
  );
  const tableId = rows[0]?.['table_id'];
  if (typeof tableId !== 'string') return null;
  return { node, table, tableId, routes: await loadRoutes(session, node, table) };
}

/**
 * The table at every node that two-way routes lead to, the first one's included. When one does not answer: throws `unreachable` with advice, or
 * (`silent` is `skip`) goes on without it.
 */
export async function routesOfMesh(
  app: App,
  home: NodeTable,
  silent: 'refuse' | 'skip' = 'refuse',
): Promise<readonly NodeTable[]> {
  const found = new Map([[home.node, home]]);
  const open = home.routes.filter((route) => route.twoWay !== null);
  for (let route = open.shift(); route !== undefined; route = open.shift()) {
    if (found.has(route.target)) continue;
    const there = await tableAt(app, route, silent);
    if (there === null) continue;
    found.set(there.node, there);
    open.push(...there.routes.filter((each) => each.twoWay !== null));
  }
  return [...found.values()];
}

/** The other direction of a two-way route (none: it was removed already), with the table that it begins at; null: that is not captured. */
export async function wayBack(app: App, route: Route): Promise<{ at: NodeTable; routes: readonly Route[] } | null> {
  if (route.twoWay === null) return null;
  const at = await tableAt(app, route);
  if (at === null) return null;
  return { at, routes: at.routes.filter((each) => each.target === route.source && each.twoWay !== null) };
}

async function tableAt(app: App, route: Route, silent: 'refuse' | 'skip' = 'refuse'): Promise<NodeTable | null> {
  const { target: node } = route;
  try {
    return await readNodeTable(app, node, route.targetTable);
  } catch (error) {
    if (!(error instanceof PgrepError) || error.code !== 'unreachable') throw error;
    if (silent === 'skip') return null;
    throw new PgrepError(
      'unreachable',
      `${showTable(route.sourceTable)} is written at ${node} too, which does not answer. ${error.message}`,
      { hint: `Try again when it is back. If it is lost for good: pgrep forget-node ${node}.`, cause: error },
    );
  }
}

/** What the user should know when some pairs of a mesh go and others stay. */
export function leftApart(nodes: readonly (NodeTable & { readonly removed: readonly Route[] })[]): readonly string[] {
  return nodes.flatMap(({ node, table, routes, removed }) => {
    const isTwoWay = (route: Route): boolean => route.twoWay !== null;
    const kept = routes.filter((route) => isTwoWay(route) && !removed.includes(route));
    const gone = removed.filter(isTwoWay).map((route) => route.target);
    if (kept.length === 0 || gone.length === 0 || kept.some((route) => route.twoWay?.forward === true)) return [];
    return [
      `${showTable(table)} of ${node} is still kept equal with ${kept.map((route) => route.target).join(', ')}, but no longer with ${gone.join(', ')}: changes that only one of them receives are not passed on.`,
    ];
  });
}
