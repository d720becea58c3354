import { dropTablePositions } from '../copy/table-position.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { monotonicMs } from '../core/timing.ts';
import { loadRoutes } from '../db/route-store.ts';
import { postgresNode, type App } from './open.ts';
import { positionStore } from './position-store.ts';
import type { CopyOptions, CopyProgress, CopyResult } from './results.ts';
import { announceRoutes, restartRoute } from './route-changes.ts';
import { runCopy } from './run-copy.ts';

/**
 * Goes on with interrupted copies of a table; with `restart` copies all its rows again, deleting at the target what the source lacks.
 * Throws `no` when there is nothing to go on with.
 */
export async function copyTable(app: App, options: CopyOptions, progress: CopyProgress, signal: AbortSignal): Promise<CopyResult> {
  const from = options.from ?? app.config.home;
  postgresNode(app.config, from);
  const session = await app.session(from);
  const all = await loadRoutes(session, from, { schema: options.table.schema, name: options.table.name });
  const chosen = all.filter((route) => options.to === undefined || options.to.includes(route.target));
  if (chosen.length === 0) throw notReplicated(options, from);
  const todo = options.restart ? chosen : chosen.filter((route) => route.state === 'copying');
  if (todo.length === 0) throw nothingToCopy(options);
  const tables: CopyResult['tables'][number][] = [];
  for (const route of todo) {
    const begun = monotonicMs();
    const current = options.restart ? await restart(app, route) : route;
    const copiedRows = await runCopy(app, current, progress, signal);
    tables.push({ route: { ...current, state: 'live', sweep: false }, copiedRows, seconds: (monotonicMs() - begun) / 1000 });
  }
  return { tables };
}

async function restart(app: App, route: Route): Promise<Route> {
  const session = await app.session(route.source);
  await restartRoute(session, route.id, true);
  await announceRoutes(session);
  await dropTablePositions(await positionStore(app, route), [route.id]);
  return { ...route, state: 'copying', sweep: true };
}

function notReplicated(options: CopyOptions, from: string): PgrepError {
  return new PgrepError('route', `${showTable(options.table)} of node ${from} is not replicated${options.to === undefined ? '' : ` to ${options.to.join(', ')}`}.`, {
    hint: `Add it: pgrep add-table ${showTable(options.table)} --to NODE.`,
  });
}

function nothingToCopy(options: CopyOptions): PgrepError {
  return new PgrepError('no', `No copy of ${showTable(options.table)} was interrupted: all its rows have been copied.`, {
    hint: 'To copy them all again, add --restart.',
  });
}
