import { dropCaptureSql } from '../capture/capture-sql.ts';
import { uninstallCapture } from '../capture/install-capture.ts';
import { dropTablePositions, moveFence } from '../copy/table-position.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { isMigrated } from '../db/migrate.ts';
import { loadRoutes } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { postgresNode, type App } from './open.ts';
import { positionStore } from './position-store.ts';
import type { RemoveTableOptions, RemoveTableResult } from './results.ts';
import { announceRoutes } from './route-changes.ts';

/** Ends the replication of a table to some or all targets. Rows at the targets stay. With the last route the triggers and the queue go. */
export async function removeTable(
  app: App,
  options: RemoveTableOptions,
  signal: AbortSignal,
): Promise<RemoveTableResult> {
  const from = options.from ?? app.config.home;
  postgresNode(app.config, from);
  const session = await app.session(from);
  const all = (await isMigrated(session))
    ? await loadRoutes(session, from, { schema: options.table.schema, name: options.table.name })
    : [];
  const removed = all.filter((route) => options.to === undefined || options.to.includes(route.target));
  const captured = await capturedId(session, options);
  if (removed.length === 0 && (captured === null || all.length > 0)) throw notReplicated(options, from, all);
  const last = removed.length === all.length;
  const sql = plannedSql(removed, last ? captured : null).map((text) => ({ node: from, text }));
  if (options.dryRun) return { removed, captureDropped: last, sql, warnings: [] };
  const warnings = await dropRoutes(app, session, removed);
  if (last && captured !== null) {
    await using own = await app.ownSession(from);
    await uninstallCapture(own, { tableId: captured, table: options.table }, signal);
  }
  return { removed, captureDropped: last, sql: [], warnings };
}

async function dropRoutes(app: App, session: Session, removed: readonly Route[]): Promise<readonly string[]> {
  const ids = removed.map((route) => route.id);
  await session.query('delete from pgrep.route where route_id = any ($1::bigint[])', [ids]);
  await session.query(
    'delete from pgrep.link_state l where not exists (select from pgrep.route r where r.target = l.target)',
  );
  await announceRoutes(session);
  const warnings: string[] = [];
  for (const route of removed) {
    try {
      const store = await positionStore(app, route);
      await moveFence(store);
      await dropTablePositions(store, [route.id]);
    } catch (error) {
      if (!(error instanceof PgrepError)) throw error;
      // A position of a route that is gone is never read again: it does no harm.
      warnings.push(
        `Node ${route.target} could not be told (${error.message}); a line of pgrep.table_position is left there.`,
      );
    }
  }
  return warnings;
}

async function capturedId(session: Session, options: RemoveTableOptions): Promise<string | null> {
  if (!(await isMigrated(session))) return null;
  const { rows } = await session.query(
    'select table_id from pgrep.captured_table where nsp_name = $1 and table_name = $2',
    [options.table.schema, options.table.name],
  );
  const id = rows[0]?.['table_id'];
  return typeof id === 'string' ? id : null;
}

function plannedSql(removed: readonly Route[], captured: string | null): readonly string[] {
  const routes = removed.map((route) => `delete from pgrep.route where route_id = ${route.id}`);
  if (captured === null) return routes;
  return [...routes, `delete from pgrep.captured_table where table_id = ${captured}`, ...dropCaptureSql(captured)];
}

function notReplicated(options: RemoveTableOptions, from: string, all: readonly Route[]): PgrepError {
  const table = showTable(options.table);
  if (all.length === 0) {
    return new PgrepError('route', `${table} of node ${from} is not replicated.`, {
      hint: 'pgrep status shows what is; --from names another source.',
    });
  }
  return new PgrepError('route', `${table} of node ${from} is not replicated to ${(options.to ?? []).join(', ')}.`, {
    hint: `It is replicated to: ${all.map((route) => route.target).join(', ')}.`,
  });
}
