import { dropCaptureSql } from '../../capture/capture-sql.ts';
import type { Route } from '../../core/route.ts';
import { literal } from '../../db/quote.ts';
import { describeVersioned, dropVersionsSql } from '../../versions/install-versions.ts';
import { endCapture } from '../end-capture.ts';
import type { App } from '../open.ts';
import type { ForgetNodeResult } from '../results.ts';
import { announceRoutes } from '../route-changes.ts';
import { nameOfForgotten } from '../two-way/known-nodes.ts';
import { queueAnew, queueAnewSql } from '../two-way/queue-anew.ts';
import type { Survivor } from './survivors.ts';

export interface Forgotten {
  readonly result: ForgetNodeResult['nodes'][number];
  /** The transaction that queued what was there of forgotten nodes; null: there was nothing. */
  readonly xid: string | null;
}

/**
 * Forgets a lost node at one survivor: in one transaction its changes are queued for the others, then routes, held rows and what it
 * had seen go. Its id stays taken. What was seen of it stays known, by a name that is no node's, so that nothing more comes from it
 * should it come back. `again`: not every survivor has heard of it yet, so its changes are queued also where that was done before.
 */
export async function forgetAt(
  app: App,
  { survivor, lost, again }: { readonly survivor: Survivor; readonly lost: string; readonly again: boolean },
  signal: AbortSignal,
): Promise<Forgotten> {
  const { node, lostId, forgotten } = survivor;
  const routes = survivor.routes.filter((route) => route.target === lost);
  await using own = await app.ownSession(node);
  let queuedKeys = 0;
  await own.script('begin');
  // First: a batch of the lost node that is being applied ends before, or finds its position gone.
  for (const statement of goneSql(lost, again ? lostId : null)) await own.query(statement);
  if (lostId !== null && again) {
    for (const tableId of exchanged(survivor, lost)) queuedKeys += await queueAnew(own, tableId, 'forgotten');
  }
  const { rows } = await own.query('select pg_catalog.pg_current_xact_id()::text as xid');
  await own.script('commit');
  await announceRoutes(own);
  for (const { tableId, sourceTable } of routes) await endCapture(app, { node, tableId, table: sourceTable }, signal);
  const change = (lostId === null || forgotten) && routes.length === 0 ? 'unchanged' : 'forgotten';
  const xid = queuedKeys > 0 ? String(rows[0]?.['xid']) : null;
  return { result: { node, change, queuedKeys, routesRemoved: routes.length }, xid };
}

/** Tells a survivor in which transactions all of them queued what they had of forgotten nodes (see `told` of pgrep.prune_N). */
export async function settleForgotten(survivor: Survivor, exchange: string): Promise<void> {
  await survivor.session.query(`update pgrep.node set exchange = ${literal(exchange)} where forgotten`);
}

/** What `forgetAt` would run. */
export async function forgetSql(survivor: Survivor, lost: string): Promise<readonly string[]> {
  const { session, lostId, routes } = survivor;
  const texts = [...goneSql(lost, lostId)];
  for (const tableId of lostId === null ? [] : exchanged(survivor, lost)) {
    texts.push(...queueAnewSql(await describeVersioned(session, tableId), 'forgotten'));
  }
  for (const { tableId, twoWay } of routes.filter((route) => route.target === lost)) {
    const others = routes.filter((route) => route.tableId === tableId && route.target !== lost);
    if (twoWay !== null && !others.some((route) => route.twoWay !== null)) texts.push(...dropVersionsSql(tableId));
    if (others.length === 0) texts.push(`delete from pgrep.captured_table where table_id = ${tableId}`, ...dropCaptureSql(tableId)); // prettier-ignore
  }
  return texts;
}

/** Tables that the survivor has two-way routes of to others too. */
function exchanged({ routes }: Survivor, lost: string): readonly string[] {
  const isOther = (route: Route): boolean => route.twoWay !== null && route.target !== lost;
  return [...new Set(routes.filter(isOther).map((route) => route.tableId))];
}

function goneSql(lost: string, lostId: number | null): readonly string[] {
  const name = literal(lost);
  const routes = [
    `delete from pgrep.table_position where source = ${name} or target = ${name}`,
    `delete from pgrep.route where target = ${name}`,
    `delete from pgrep.link_state where target = ${name}`,
  ];
  if (lostId === null) return routes;
  const gone = literal(nameOfForgotten({ name: lost, nodeId: lostId }));
  return [
    `update pgrep.position set source = ${gone} where source = ${name}`,
    ...routes,
    `delete from pgrep.peer_seen where peer = ${lostId}`,
    `delete from pgrep.peer_copying where peer = ${lostId}`,
    `delete from pgrep.peer_way where peer = ${lostId}`,
    `update pgrep.node set forgotten = true, name = ${gone} where node_id = ${lostId}`,
    'update pgrep.node set exchange = null where forgotten',
  ];
}
