import { PgrepError } from '../core/error.ts';
import { dropCaptureSql } from '../capture/capture-sql.ts';
import { lockPatiently } from '../capture/lock-patiently.ts';
import type { Session } from '../db/session.ts';
import { postgresNames, type App } from './open.ts';
import type { PlannedSql, UninstallResult } from './results.ts';

/** Removes everything of pgrep from nodes (default: every Postgres node): triggers, queues, routes, held rows. Replicated rows stay. */
export async function uninstall(
  app: App,
  options: { nodes?: readonly string[]; dryRun: boolean },
  signal: AbortSignal,
): Promise<UninstallResult> {
  const sql: PlannedSql[] = [];
  const nodes: string[] = [];
  for (const node of options.nodes ?? postgresNames(app.config)) {
    const session = await app.session(node);
    const planned = await dropSql(session);
    if (planned.length === 0) continue;
    nodes.push(node);
    sql.push(...planned.map((text) => ({ node, text })));
    if (options.dryRun) continue;
    await using own = await app.ownSession(node);
    await dropAll(own, node, planned, signal);
  }
  if (nodes.length > 0 || options.dryRun) return { nodes, sql };
  throw new PgrepError('no', 'No node has anything of pgrep installed.', { hint: 'Nothing is to be done.' });
}

async function dropAll(session: Session, node: string, planned: readonly string[], signal: AbortSignal): Promise<void> {
  await lockPatiently(session, { table: { schema: 'pgrep', name: node }, what: 'uninstall' }, async () => {
    for (const text of planned) await session.query(text);
  }, signal); // prettier-ignore
}

async function dropSql(session: Session): Promise<readonly string[]> {
  const { rows } = await session.query("select pg_catalog.to_regclass('pgrep.captured_table') is not null as there");
  if (rows[0]?.['there'] !== 't') return [];
  const captured = await session.query('select table_id from pgrep.captured_table order by table_id');
  return [...captured.rows.flatMap((row) => dropCaptureSql(String(row['table_id']))), 'drop schema pgrep cascade'];
}
