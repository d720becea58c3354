import { showTable } from '../core/route.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { PgrepError } from '../core/error.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { retireQueues } from '../queue/retention.ts';
import { superviseSource } from '../replayer/source-supervisor.ts';
import { configuredNode, postgresNames, postgresNode, type App } from './open.ts';
import { openSession } from '../db/session.ts';
import { isMigrated } from '../db/migrate.ts';
import { runCopy } from './run-copy.ts';

/** The daemon: replays every link (or those of `from`, or to `to`) until `signal` aborts, then ends within seconds, whatever is under way. */
export async function runDaemon(app: App, options: { from?: string; to?: string }, signal: AbortSignal): Promise<void> {
  if (options.from !== undefined) postgresNode(app.config, options.from);
  if (options.to !== undefined) configuredNode(app.config, options.to);
  const sources = options.from === undefined ? postgresNames(app.config) : [options.from];
  app.logger.info({ sources }, 'started');
  await Promise.all(sources.map((source) => runSource(app, { source, ...(options.to === undefined ? {} : { to: options.to }) }, signal)));
  app.logger.info({}, 'stopped');
}

async function runSource(app: App, { source, to }: { source: string; to?: string }, signal: AbortSignal): Promise<void> {
  const { maxBatchRows, pollMs } = app.config.replayer;
  await superviseSource(
    {
      source,
      openSession: () => openMigrated(app, source),
      connections: (link) => app.connections(link),
      serves: (link) => (to === undefined || link.target === to) && app.config.nodes[link.target] !== undefined,
      observer: (link) => ({
        batch: ({ keys, held, ms }) => {
          app.onBatch({ ...link, keys, held, seconds: ms / 1000 });
        },
      }),
      keep: (session, stop) => keepSource(app, source, session, stop),
      settings: { maxBatchRows, pollMs },
      logger: app.logger,
    },
    signal,
  );
}

async function openMigrated(app: App, source: string): Promise<Session> {
  const session = await openSession({ node: source, url: postgresNode(app.config, source).postgres.reveal() });
  if (await isMigrated(session)) return session;
  await session[Symbol.asyncDispose]();
  throw new PgrepError('config', `Node ${source} has no schema pgrep, or an older one.`, { hint: `Run: pgrep init (a node that is only a target needs it too).` });
}

/** Beside the links: queues are emptied, interrupted copies are finished. */
async function keepSource(app: App, source: string, session: Session, signal: AbortSignal): Promise<void> {
  let copies: Promise<void> = Promise.resolve();
  let copying = false;
  let retired = monotonicMs();
  while (!signal.aborted) {
    await pause(keepMs, signal);
    if (signal.aborted) break;
    if (monotonicMs() - retired >= retireMs) {
      retired = monotonicMs();
      await retireQueues(session);
    }
    if (copying) continue;
    copying = true;
    copies = resumeCopies(app, source, session, signal).finally(() => {
      copying = false;
    });
  }
  await copies;
}

async function resumeCopies(app: App, source: string, session: Session, signal: AbortSignal): Promise<void> {
  for (const route of await loadRoutes(session, source)) {
    if (route.state !== 'copying' || signal.aborted) continue;
    const fields = { source, target: route.target, table: showTable(route.sourceTable) };
    try {
      const rows = await runCopy(app, route, () => undefined, signal);
      app.logger.info({ ...fields, rows }, 'copied');
    } catch (error) {
      // `no`: whoever began the copy is still at it.
      if (signal.aborted || (error instanceof PgrepError && error.code === 'no')) continue;
      app.logger.warn({ ...fields }, `copy: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}


const keepMs = 2_000;
// Often enough that a busy queue stays small, seldom enough that its cost is nothing.
const retireMs = 15_000;
