import { PgrepError } from '../../core/error.ts';
import { showTable, type Route, type TableName } from '../../core/route.ts';
import type { Session } from '../../db/session.ts';
import { postgresNames, type App } from '../open.ts';
import { openSources } from '../sources.ts';
import { nameOfForgotten, readKnownNodes } from '../two-way/known-nodes.ts';

/** A node that knows the lost one. */
export interface Survivor {
  readonly node: string;
  readonly session: Session;
  /** The lost node's id; null: only routes of here lead to it. */
  readonly lostId: number | null;
  /** It was forgotten here before. */
  readonly forgotten: boolean;
  /** It was forgotten at all nodes, and this one has heard of it. */
  readonly settled: boolean;
  readonly routes: readonly Route[];
}

/** All nodes that know `lost` and answer, and the names of those that do not answer. Throws `usage` when nobody knows it. */
export async function findSurvivors(
  app: App,
  lost: string,
): Promise<{ survivors: readonly Survivor[]; unreachable: readonly string[] }> {
  const survivors: Survivor[] = [];
  const unreachable: string[] = [];
  for (const name of postgresNames(app.config).filter((each) => each !== lost)) {
    const opened = await openSources(app, name);
    unreachable.push(...opened.unreachable.map(({ node }) => node));
    for (const { node, session, routes } of opened.sources) {
      const known = await readKnownNodes(session);
      const there =
        known.find((each) => each.name === lost) ??
        known.findLast((each) => each.name === nameOfForgotten({ name: lost, nodeId: each.nodeId }));
      if (there === undefined && !routes.some((route) => route.target === lost)) continue;
      const { nodeId: lostId = null, forgotten = false, exchange = null } = there ?? {};
      survivors.push({ node, session, lostId, forgotten, settled: exchange !== null, routes });
    }
  }
  if (survivors.length > 0 || unreachable.length > 0) return { survivors, unreachable };
  throw new PgrepError('usage', `No node knows a node ${lost}.`, {
    hint: `Nodes of the configuration: ${Object.keys(app.config.nodes).join(', ')}.`,
  });
}

/** Refuses when survivors of a table would have nobody left to exchange with what came from the lost node. Throws `route`. */
export function checkConnected(survivors: readonly Survivor[], lost: string): void {
  const links = survivors.flatMap(({ routes }) => routes.filter((route) => route.twoWay !== null));
  const toLost = links.filter((route) => route.target === lost);
  for (const first of toLost) {
    const reached = reachableFrom(first, links, lost);
    const apart = toLost.find(
      (route) => showTable(route.targetTable) === showTable(first.targetTable) && !reached.has(place(route.source, route.sourceTable)),
    ); // prettier-ignore
    if (apart === undefined) continue;
    const table = showTable(first.sourceTable);
    const as = showTable(apart.sourceTable) === table ? '' : ` --as ${showTable(apart.sourceTable)}`;
    throw new PgrepError(
      'route',
      `${table} of ${first.source} and of ${apart.source} are linked through ${lost} only: they could not exchange what came from it.`,
      {
        hint: `Link them first: pgrep add-table ${table} --from ${first.source} --to ${apart.source}${as} --two-way --merge. --force leaves them apart.`,
      },
    );
  }
}

function reachableFrom(first: Route, links: readonly Route[], lost: string): ReadonlySet<string> {
  const reached = new Set([place(first.source, first.sourceTable)]);
  const open = [...reached];
  for (let here = open.shift(); here !== undefined; here = open.shift()) {
    for (const route of links) {
      const there = place(route.target, route.targetTable);
      if (place(route.source, route.sourceTable) !== here || route.target === lost || reached.has(there)) continue;
      reached.add(there);
      open.push(there);
    }
  }
  return reached;
}

function place(node: string, table: TableName): string {
  return `${node} ${showTable(table)}`;
}
