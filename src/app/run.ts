import { after } from '../core/timing.ts';
import { PgrepError } from '../core/error.ts';
import { superviseSource } from '../replayer/source-supervisor.ts';
import { configuredNode, openApp, postgresNames, postgresNode, type App } from './open.ts';
import { keepSource } from './keep-source.ts';
import type { Session } from '../db/session.ts';
import { isMigrated } from '../db/migrate.ts';

/**
 * The daemon: replays every link (or those of `from`, or to `to`) until `signal` aborts, then ends within seconds, whatever is
 * under way. Its sessions are its own, so that the caller may go on using the app.
 */
export async function runDaemon(app: App, options: { from?: string; to?: string }, signal: AbortSignal): Promise<void> {
  if (options.from !== undefined) postgresNode(app.config, options.from);
  if (options.to !== undefined) configuredNode(app.config, options.to);
  const sources = options.from === undefined ? postgresNames(app.config) : [options.from];
  const own = openApp(app);
  app.logger.info({ sources }, 'started');
  const serving = Promise.all(
    sources.flatMap((source) => [
      runSource(own, { source, ...(options.to === undefined ? {} : { to: options.to }) }, signal),
      keepSource(own, source, signal),
    ]),
  );
  await Promise.race([serving, stopped(signal)]);
  app.logger.info({}, 'stopped');
}

/** Ends some time after the signal: a connection that is being made to a server that does not answer cannot be waited for. */
function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => after(stopMs, resolve), { once: true });
  });
}

async function runSource(
  app: App,
  { source, to }: { source: string; to?: string },
  signal: AbortSignal,
): Promise<void> {
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
      settings: { maxBatchRows, pollMs },
      logger: app.logger,
    },
    signal,
  );
}

async function openMigrated(app: App, source: string): Promise<Session> {
  const session = await app.ownSession(source);
  if (await isMigrated(session)) return session;
  await session[Symbol.asyncDispose]();
  throw new PgrepError('config', `Node ${source} has no schema pgrep, or an older one.`, {
    hint: `Run: pgrep init (a node that is only a target needs it too).`,
  });
}

// A stop takes at most this long; the promise to the user is 5 s.
const stopMs = 3_000;
