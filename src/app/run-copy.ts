import { copyRoute } from '../copy/copy-route.ts';
import { beginTablePosition, forgetForeignPosition, moveFence, readTablePosition } from '../copy/table-position.ts';
import type { Route } from '../core/route.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { readOrigin } from '../queue/origin.ts';
import { LinkSession } from '../replayer/link-session.ts';
import { arrivalLock } from '../versions/version-sql.ts';
import { withCopyLease, type CopyPlace } from './copy-lease.ts';
import type { App } from './open.ts';
import { positionStore } from './position-store.ts';
import type { CopyProgress } from './results.ts';
import { announceRoutes, copyBegun, isToCopyAnew, makeLive } from './route-changes.ts';
import { firstPosition } from './two-way/first-position.ts';
import { queueAnew } from './two-way/queue-anew.ts';

/** Where a route's copy takes place. */
export function copyPlace(route: Route): CopyPlace {
  return { source: route.source, target: route.target, tableId: route.tableId, table: route.sourceTable };
}

/**
 * Finishes the copy of a route, if it is not finished or gone by now. Gives the rows copied in all, 0 when there was nothing to do.
 * Throws `no` when somebody else copies it.
 */
export async function runCopy(app: App, route: Route, progress: CopyProgress, signal: AbortSignal): Promise<number> {
  return await withCopyLease(app, copyPlace(route), async () => {
    // What was loaded before the lease may be done, changed or removed meanwhile.
    const current = await currentRoute(app, route);
    return current?.state === 'copying' ? await copyUnderLease(app, current, progress, signal) : 0;
  });
}

/** The route as it is stored now; null: it was removed. */
export async function currentRoute(app: App, route: Route): Promise<Route | null> {
  const session = await app.session(route.source);
  const { schema, name } = route.sourceTable;
  const routes = await loadRoutes(session, route.source, { target: route.target, schema, name });
  return routes.find((each) => each.id === route.id) ?? null;
}

/**
 * Brings a route in state `copying` to `live`: begins its position if it has none, copies from where that stands, and lets it join
 * the batches. Every step may be repeated, so a killed copy is simply run again. To be called under the copy lease.
 */
export async function copyUnderLease(
  app: App,
  route: Route,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<number> {
  await ensurePosition(app, route);
  const copiedRows = await copyWithLink(app, route, progress, signal);
  const source = await app.session(route.source);
  await makeLive(source, route.id);
  await announceRoutes(source);
  return copiedRows;
}

async function ensurePosition(app: App, route: Route): Promise<void> {
  const source = await app.session(route.source);
  const store = await positionStore(app, route);
  const anew = await isToCopyAnew(source, route.id);
  if (!anew && (await readTablePosition(store, route.id)) !== null) return;
  await beginPosition(app, route, false);
}

/**
 * Begins the table's own position now: what is committed from here on is replayed when the table joins the link's batches.
 * `copied`: nothing is to be copied.
 */
export async function beginPosition(app: App, route: Route, copied: boolean): Promise<void> {
  const source = await app.session(route.source);
  const store = await positionStore(app, route);
  await moveFence(store);
  await forgetForeignPosition(store, await readOrigin(source));
  // Taken after the triggers were committed: what it does not see is in the queue.
  const snapshot = await (route.twoWay === null ? oneWaySnapshot(source, route) : twoWaySnapshot(source, route));
  await beginTablePosition(store, { route, snapshot, copied });
  await copyBegun(source, route);
}

async function oneWaySnapshot(source: Session, route: Route): Promise<string> {
  await settleArrivals(source, route);
  const { rows } = await source.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
  return String(rows[0]?.['snapshot']);
}

async function twoWaySnapshot(source: Session, route: Route): Promise<string> {
  if (route.twoWay?.forward === true) await settleArrivals(source, route);
  const { snapshot, peers } = await firstPosition(source, route);
  // In the queue before the position is stored: a crash in between repeats both.
  if (peers) await queueAnew(source, route.tableId, 'graves');
  return snapshot;
}

/**
 * Returns when every batch that arrives at the source, and may have been read before this route was announced, has ended. Later
 * ones know the route and queue what they bring for it; what the earlier ones brought is in the table.
 */
async function settleArrivals(source: Session, { tableId }: Route): Promise<void> {
  await source.query('select pg_catalog.pg_advisory_xact_lock($1, $2)', [arrivalLock, tableId]);
}

async function copyWithLink(app: App, route: Route, progress: CopyProgress, signal: AbortSignal): Promise<number> {
  const link = { source: route.source, target: route.target };
  await using session = await LinkSession.open(link, app.connections(route));
  await session.prepareCopy(route, signal);
  return await copyRoute(
    session,
    {
      route,
      chunkRows: app.config.replayer.copyChunkRows,
      progress: (each) => {
        progress({ table: route.sourceTable, target: route.target, ...each });
      },
    },
    signal,
  );
}
