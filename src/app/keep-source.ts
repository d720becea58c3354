import { captureDrift, repairCapture } from '../capture/repair-capture.ts';
import { backoffMs } from '../core/backoff.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { isMigrated } from '../db/migrate.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { retireQueues } from '../queue/retention.ts';
import { pruneConflicts } from '../versions/conflict-retention.ts';
import { installVersions, versionedTables } from '../versions/install-versions.ts';
import { pruneFunction } from '../versions/prune-sql.ts';
import type { App } from './open.ts';
import { runCopy } from './run-copy.ts';

/**
 * What a daemon does for a source beside its links, until `signal` aborts: empties queues, finishes interrupted copies, gives
 * triggers to new partitions. Never rejects: after a failure it begins again.
 */
export async function keepSource(app: App, source: string, signal: AbortSignal): Promise<void> {
  const keeper = new Keeper(app, source);
  let failures = 0;
  while (!signal.aborted) {
    try {
      // Nothing else uses this session: emptying and mending are transactions of several statements.
      await using session = await app.ownSession(source);
      while (!signal.aborted) {
        if (await isMigrated(session)) await keeper.look(session, signal);
        failures = 0;
        await pause(lookMs, signal);
      }
    } catch (error) {
      if (signal.aborted) break;
      failures += 1;
      app.logger.warn({ source, failures }, `source: ${error instanceof Error ? error.message : String(error)}`);
      await pause(backoffMs(failures), signal);
    }
  }
  await keeper.copies;
}

class Keeper {
  readonly #app: App;
  readonly #source: string;
  #copying = false;
  #retiredAt = monotonicMs();
  #versionsKeptAt = -Infinity;
  #mendedAt = monotonicMs();
  #prunedAt = -Infinity;
  readonly #said = new Set<string>();
  /** Copies that are under way. */
  copies: Promise<void> = Promise.resolve();

  constructor(app: App, source: string) {
    this.#app = app;
    this.#source = source;
  }

  async look(session: Session, signal: AbortSignal): Promise<void> {
    const now = monotonicMs();
    if (now - this.#versionsKeptAt >= keepVersionsMs) {
      this.#versionsKeptAt = now;
      await this.#keepVersions(session);
    }
    if (now - this.#retiredAt >= retireMs) {
      this.#retiredAt = now;
      await retireQueues(session);
    }
    if (now - this.#mendedAt >= mendMs) {
      this.#mendedAt = now;
      await this.#mendCapture(session, signal);
    }
    if (now - this.#prunedAt >= pruneMs) {
      this.#prunedAt = now;
      await pruneConflicts(session, this.#app.config.replayer.conflictRetentionDays);
    }
    // Last: a route that cannot be loaded must not keep queues from being emptied.
    if (!this.#copying) this.#resumeCopies(await loadRoutes(session, this.#source), signal);
  }

  /** The functions are those of this program; what no peer needs any more goes. */
  async #keepVersions(session: Session): Promise<void> {
    for (const tableId of await versionedTables(session)) {
      await installVersions(session, tableId);
      await session.query(`select ${pruneFunction(tableId)}()`);
    }
  }

  #resumeCopies(routes: readonly Route[], signal: AbortSignal): void {
    const todo = routes.filter(
      ({ state, target }) => state === 'copying' && this.#app.config.nodes[target] !== undefined,
    );
    if (todo.length === 0) return;
    this.#copying = true;
    this.copies = resumeCopies(this.#app, todo, signal).finally(() => {
      this.#copying = false;
    });
  }

  async #mendCapture(session: Session, signal: AbortSignal): Promise<void> {
    for (const found of await captureDrift(session)) {
      if (signal.aborted) return;
      const fields = { source: this.#source, table: showTable(found.table) };
      for (const { message, advice, repairable } of found.drift) {
        if (repairable || this.#said.has(message)) continue;
        this.#said.add(message);
        this.#app.logger.warn(fields, `${message} ${advice}`);
      }
      for (const { message } of await repairCapture(session, found, signal)) {
        this.#app.logger.info(fields, `mended: ${message}`);
      }
    }
  }
}

async function resumeCopies(app: App, routes: readonly Route[], signal: AbortSignal): Promise<void> {
  for (const route of routes) {
    if (signal.aborted) return;
    const fields = { source: route.source, target: route.target, table: showTable(route.sourceTable) };
    try {
      const begun = monotonicMs();
      const rows = await runCopy(app, route, () => undefined, signal);
      app.logger.info({ ...fields, rows, seconds: Math.round(monotonicMs() - begun) / 1000 }, 'copied');
    } catch (error) {
      // `no`: whoever began the copy is still at it.
      if (signal.aborted || (error instanceof PgrepError && error.code === 'no')) continue;
      app.logger.warn(fields, `copy: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

// Interrupted copies are looked for this often.
const lookMs = 2_000;
// The sidecar of a busy table holds about what changed in this time.
const keepVersionsMs = 5_000;
// Often enough that a busy queue stays small, seldom enough that its cost is nothing.
const retireMs = 15_000;
// Until then the rows of a new partition wait; they are queued when its triggers come.
const mendMs = 10_000;
// Conflicts are kept for days: to look every hour is enough.
const pruneMs = 3_600_000;
