import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { CopyPlace } from './copy-lease.ts';
import type { App } from './open.ts';

/** The route of a table to one target as it is stored now. Throws `no` when it was removed meanwhile. */
export async function storedRoute(app: App, place: Omit<CopyPlace, 'tableId'>): Promise<Route> {
  const { source, target, table } = place;
  const [route] = await loadRoutes(await app.session(source), source, { target, ...table });
  if (route !== undefined) return route;
  throw new PgrepError('no', `The route of ${showTable(table)} from ${source} to ${target} was removed meanwhile.`, {
    hint: 'Run the command again.',
  });
}
