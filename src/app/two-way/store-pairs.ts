import { moveFence } from '../../copy/table-position.ts';
import type { Route } from '../../core/route.ts';
import type { App } from '../open.ts';
import { positionStore } from '../position-store.ts';
import { announceRoutes, changeTwoWay, insertRoute, twoWayOptions } from '../route-changes.ts';
import { storedRoute } from '../stored-route.ts';
import type { Pair } from './pair.ts';
import type { MeshPlan } from './plan-mesh.ts';

/** A pair whose route is stored. */
export interface StoredPair {
  readonly pair: Pair;
  readonly route: Route;
  readonly change: 'added' | 'changed' | 'unchanged';
}

/**
 * Stores all routes of a plan before any of them is filled: from here on every member's queue keeps what the others need, whatever
 * happens to this command. `tables`: table ids by node.
 */
export async function storePairs(
  app: App,
  plan: MeshPlan,
  tables: ReadonlyMap<string, string>,
): Promise<readonly StoredPair[]> {
  for (const { source, id, twoWay } of plan.alsoForward)
    await changeTwoWay(await app.session(source), id, { ...twoWay, forward: true });
  const changes: StoredPair['change'][] = [];
  for (const pair of plan.pairs) changes.push(await storePair(app, pair, tables.get(pair.from.node) ?? ''));
  for (const { node } of plan.members) await announceRoutes(await app.session(node));
  const stored: StoredPair[] = [];
  for (const [index, pair] of plan.pairs.entries()) {
    const { from, to } = pair;
    const route = await storedRoute(app, { source: from.node, target: to.node, table: from.description.table });
    if (pair.planned.existing?.twoWay === null) await moveFence(await positionStore(app, route));
    stored.push({ pair, route, change: changes[index] ?? 'unchanged' });
  }
  return stored;
}

async function storePair(app: App, { from, planned }: Pair, tableId: string): Promise<StoredPair['change']> {
  const session = await app.session(from.node);
  const { existing, stored } = planned;
  if (existing === null) {
    await insertRoute(session, { ...stored, tableId }, false);
    return 'added';
  }
  if (stored.twoWay === null || twoWayOptions(existing.twoWay) === twoWayOptions(stored.twoWay)) return 'unchanged';
  await changeTwoWay(session, existing.id, stored.twoWay);
  return 'changed';
}
