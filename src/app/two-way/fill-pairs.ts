import { readTablePosition } from '../../copy/table-position.ts';
import type { App } from '../open.ts';
import { positionStore } from '../position-store.ts';
import type { AddTableResult, CopyProgress } from '../results.ts';
import { isToCopyAnew } from '../route-changes.ts';
import { beginPosition, copyPlace, copyUnderLease } from '../run-copy.ts';
import { storedRoute } from '../stored-route.ts';
import type { Fill } from './pair.ts';
import type { StoredPair } from './store-pairs.ts';

// What only new nodes have goes out before they get rows of others, which would all be copied back otherwise.
const order: readonly Fill[] = ['queue', 'first', 'home'];

/** Brings stored routes to `live`: all positions begin before anything is copied. To be called under the copy leases. */
export async function fillPairs(
  app: App,
  stored: readonly StoredPair[],
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<AddTableResult['routes']> {
  for (const each of stored) await begin(app, each);
  const copied = new Map<StoredPair, number>();
  for (const fill of order) {
    for (const each of stored) {
      if (each.pair.fill !== fill || each.route.state === 'live') continue;
      const show = fill === 'queue' ? (): void => undefined : progress;
      copied.set(each, await copyUnderLease(app, each.route, show, signal));
    }
  }
  const results: AddTableResult['routes'][number][] = [];
  for (const each of stored) {
    results.push({
      route: await storedRoute(app, copyPlace(each.route)),
      change: each.change,
      copiedRows: copied.get(each) ?? 0,
    });
  }
  return results;
}

async function begin(app: App, { pair, route }: StoredPair): Promise<void> {
  if (route.state === 'live') return;
  const anew = await isToCopyAnew(await app.session(route.source), route.id);
  if (!anew && (await readTablePosition(await positionStore(app, route), route.id)) !== null) return;
  await beginPosition(app, route, pair.fill === 'queue');
}
