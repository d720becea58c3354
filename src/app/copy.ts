import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { monotonicMs } from '../core/timing.ts';
import { loadRoutes } from '../db/route-store.ts';
import { postgresNode, type App } from './open.ts';
import { withCopyLease } from './copy-lease.ts';
import type { CopyOptions, CopyProgress, CopyResult } from './results.ts';
import { announceRoutes, restartRoute } from './route-changes.ts';
import { checkKnownNodes, readKnownNodes } from './two-way/known-nodes.ts';
import { copyPlace, copyUnderLease, currentRoute, runCopy } from './run-copy.ts';

/**
 * Goes on with interrupted copies of a table; with `restart` copies all its rows again, deleting at the target what the source lacks.
 * Throws `no` when there is nothing to go on with, `config` when the target has forgotten the source.
 */
export async function copyTable(
  app: App,
  options: CopyOptions,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<CopyResult> {
  const from = options.from ?? app.config.home;
  postgresNode(app.config, from);
  const session = await app.session(from);
  const all = await loadRoutes(session, from, { schema: options.table.schema, name: options.table.name });
  const chosen = all.filter((route) => options.to === undefined || options.to.includes(route.target));
  if (chosen.length === 0) throw notReplicated(options, from);
  const todo = options.restart ? chosen : chosen.filter((route) => route.state === 'copying');
  if (todo.length === 0) throw nothingToCopy(options);
  for (const route of todo) await refuseForgotten(app, route);
  const tables: CopyResult['tables'][number][] = [];
  for (const route of todo) {
    const begun = monotonicMs();
    const copiedRows = await (options.restart
      ? restart(app, route, progress, signal)
      : runCopy(app, route, progress, signal));
    tables.push({
      route: { ...route, state: 'live', sweep: false },
      copiedRows,
      seconds: (monotonicMs() - begun) / 1000,
    });
  }
  return { tables };
}

/** What a forgotten node sends anew would be older than all that others wrote since, for some of them only. Throws `config`. */
async function refuseForgotten(app: App, { source, target, twoWay }: Route): Promise<void> {
  if (twoWay === null) return;
  const own = (await readKnownNodes(await app.session(source))).filter(({ name }) => name === source);
  checkKnownNodes(own, await readKnownNodes(await app.session(target)));
}

async function restart(app: App, route: Route, progress: CopyProgress, signal: AbortSignal): Promise<number> {
  return await withCopyLease(app, copyPlace(route), async () => {
    const session = await app.session(route.source);
    await restartRoute(session, route.id);
    await announceRoutes(session);
    const current = await currentRoute(app, route);
    return current === null ? 0 : await copyUnderLease(app, current, progress, signal);
  });
}

function notReplicated(options: CopyOptions, from: string): PgrepError {
  return new PgrepError(
    'route',
    `${showTable(options.table)} of node ${from} is not replicated${options.to === undefined ? '' : ` to ${options.to.join(', ')}`}.`,
    {
      hint: `Add it: pgrep add-table ${showTable(options.table)} --to NODE.`,
    },
  );
}

function nothingToCopy(options: CopyOptions): PgrepError {
  return new PgrepError(
    'no',
    `No copy of ${showTable(options.table)} was interrupted: all its rows have been copied.`,
    {
      hint: 'To copy them all again, add --restart.',
    },
  );
}
