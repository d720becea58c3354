import { copyRoute } from '../copy/copy-route.ts';
import { beginTablePosition, moveFence, readTablePosition } from '../copy/table-position.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { releaseLease, tryLease } from '../db/lease.ts';
import type { Session } from '../db/session.ts';
import { LinkSession } from '../replayer/link-session.ts';
import type { App } from './open.ts';
import { positionStore } from './position-store.ts';
import type { CopyProgress } from './results.ts';
import { announceRoutes, makeLive } from './route-changes.ts';

/**
 * Brings a route in state `copying` to `live`: begins its position if it has none, copies from where that stands, and lets it join
 * the batches. Every step may be repeated, so a killed copy is simply run again. Gives the rows copied in all.
 */
export async function runCopy(app: App, route: Route, progress: CopyProgress, signal: AbortSignal): Promise<number> {
  const source = await app.session(route.source);
  const lease = `copy ${route.id}`;
  if (!(await tryLease(source, lease))) throw copying(route);
  try {
    await ensurePosition(app, source, route);
    const copiedRows = await copyWithLink(app, route, progress, signal);
    await makeLive(source, route.id);
    await announceRoutes(source);
    return copiedRows;
  } finally {
    if (!source.lost.aborted) await releaseLease(source, lease);
  }
}

// The snapshot is taken after the triggers were committed: what it does not see is in the queue.
async function ensurePosition(app: App, source: Session, route: Route): Promise<void> {
  const store = await positionStore(app, route);
  if ((await readTablePosition(store, route.id)) !== null) return;
  await moveFence(store);
  const { rows } = await source.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
  await beginTablePosition(store, { routeId: route.id, snapshot: String(rows[0]?.['snapshot']), copied: false });
}

async function copyWithLink(app: App, route: Route, progress: CopyProgress, signal: AbortSignal): Promise<number> {
  await using session = await LinkSession.open({ source: route.source, target: route.target }, app.connections(route));
  await session.target.prepare([route], signal);
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

function copying(route: Route): PgrepError {
  return new PgrepError('no', `Table ${showTable(route.sourceTable)} is being copied to ${route.target} by another process.`, {
    hint: 'Wait for it: pgrep status shows its progress.',
  });
}
