import { dropCaptureSql } from '../capture/capture-sql.ts';
import { dropTablePositions, moveFence } from '../copy/table-position.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route, type TableName } from '../core/route.ts';
import type { Session } from '../db/session.ts';
import { dropVersionsSql } from '../versions/install-versions.ts';
import { endCapture } from './end-capture.ts';
import { postgresNode, type App } from './open.ts';
import { positionStore } from './position-store.ts';
import type { PlannedSql, RemoveTableOptions, RemoveTableResult } from './results.ts';
import { announceRoutes } from './route-changes.ts';
import { leftApart, readNodeTable, routesOfMesh, wayBack, type NodeTable } from './two-way/routes-of-mesh.ts';

/**
 * Ends the replication of a table to some or all targets; of two-way routes both ways, and without `to` all that the table has at
 * all their nodes. Rows stay. With a table's last route at a node its triggers and its queue go. A target of `to` that the table is not
 * replicated to is refused while nothing is changed; where the table has no routes left the command is one that is repeated.
 */
export async function removeTable(
  app: App,
  options: RemoveTableOptions,
  signal: AbortSignal,
): Promise<RemoveTableResult> {
  const from = options.from ?? app.config.home;
  postgresNode(app.config, from);
  const home = await readNodeTable(app, from, options.table);
  if (home === null) throw notReplicated(options.table, from);
  refuseOtherTargets(home, options.to ?? []);
  const nodes = await removals(app, home, options);
  const removed = nodes.flatMap((node) => node.removed);
  const ending = nodes.filter((node) => node.removed.length === node.routes.length);
  const result = {
    removed,
    captureDropped: ending.some(({ node }) => node === from),
    captureDroppedAt: ending.map(({ node }) => node),
  };
  if (options.dryRun) return { ...result, sql: nodes.flatMap(plannedSql), warnings: [] };
  const warnings: string[] = [];
  // The named node's last: while it has its routes, a command that was interrupted can be repeated.
  for (const node of nodes.toReversed()) {
    warnings.push(...(await dropRoutes(app, await app.session(node.node), node.removed)));
    await endCapture(app, node, signal);
  }
  return { ...result, sql: [], warnings: [...warnings, ...(options.to === undefined ? [] : leftApart(nodes))] };
}

/** A node's table with its routes, and those of them that go. */
interface Removal extends NodeTable {
  readonly removed: readonly Route[];
}

async function removals(app: App, home: NodeTable, options: RemoveTableOptions): Promise<readonly Removal[]> {
  const { to } = options;
  if (to === undefined) {
    const mesh = await routesOfMesh(app, home);
    return mesh.map((node) => ({ ...node, removed: node.routes }));
  }
  const removed = home.routes.filter((route) => to.includes(route.target));
  const nodes: Removal[] = [{ ...home, removed }];
  for (const route of removed) {
    const back = await wayBack(app, route);
    if (back !== null) nodes.push({ ...back.at, removed: back.routes });
  }
  return nodes;
}

async function dropRoutes(app: App, session: Session, removed: readonly Route[]): Promise<readonly string[]> {
  const ids = removed.map((route) => route.id);
  await session.query('delete from pgrep.route where route_id = any ($1::bigint[])', [ids]);
  await session.query(
    'delete from pgrep.link_state l where not exists (select from pgrep.route r where r.target = l.target)',
  );
  for (const told of ['peer_seen', 'peer_way'])
    await session.query(
      `delete from pgrep.${told} s where not exists (select from pgrep.node n join pgrep.route r on r.target = n.name
     where n.node_id = s.peer and r.options @> '{"twoWay": true}')`,
    );
  await announceRoutes(session);
  const warnings: string[] = [];
  for (const route of removed) {
    try {
      const store = await positionStore(app, route);
      await moveFence(store);
      await dropTablePositions(store, [route.id]);
    } catch (error) {
      if (!(error instanceof PgrepError)) throw error;
      // A position of a route that is gone is never read again: it does no harm.
      warnings.push(
        `Node ${route.target} could not be told (${error.message}); a line of pgrep.table_position is left there.`,
      );
    }
  }
  return warnings;
}

function plannedSql({ node, tableId, routes, removed }: Removal): readonly PlannedSql[] {
  const texts = removed.map((route) => `delete from pgrep.route where route_id = ${route.id}`);
  const isTwoWay = (route: Route): boolean => route.twoWay !== null;
  const kept = routes.filter((route) => !removed.includes(route));
  if (removed.some(isTwoWay) && !kept.some(isTwoWay)) texts.push(...dropVersionsSql(tableId));
  if (kept.length === 0)
    texts.push(`delete from pgrep.captured_table where table_id = ${tableId}`, ...dropCaptureSql(tableId));
  return texts.map((text) => ({ node, text }));
}

function notReplicated(table: TableName, from: string): PgrepError {
  return new PgrepError('route', `${showTable(table)} of node ${from} is not replicated.`, {
    hint: 'pgrep status shows what is; --from names another source.',
  });
}

function refuseOtherTargets({ node, table, routes }: NodeTable, to: readonly string[]): void {
  const targets = routes.map((route) => route.target);
  const others = to.filter((target) => !targets.includes(target));
  if (others.length === 0 || targets.length === 0) return;
  throw new PgrepError('route', `${showTable(table)} of node ${node} is not replicated to ${others.join(', ')}.`, {
    hint: `It is replicated to: ${targets.join(', ')}.`,
  });
}
