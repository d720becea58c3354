import { loadRoutes } from '../db/route-store.ts';
import { isMigrated } from '../db/migrate.ts';
import { PgrepError } from '../core/error.ts';
import type { Route } from '../core/route.ts';
import type { Session } from '../db/session.ts';
import { postgresNames, postgresNode, type App } from './open.ts';

/** A Postgres node with the schema, as a source of routes. */
export interface Source {
  readonly node: string;
  readonly session: Session;
  readonly routes: readonly Route[];
}

/** A node that could not be asked. */
export interface Unreachable {
  readonly node: string;
  readonly error: PgrepError;
}

/** All nodes that are sources, or the one named; nodes without the schema are left out, nodes that do not answer are told apart. */
export async function openSources(
  app: App,
  from?: string,
): Promise<{ sources: readonly Source[]; unreachable: readonly Unreachable[] }> {
  if (from !== undefined) postgresNode(app.config, from);
  const sources: Source[] = [];
  const unreachable: Unreachable[] = [];
  for (const node of from === undefined ? postgresNames(app.config) : [from]) {
    try {
      const session = await app.session(node);
      if (await isMigrated(session)) sources.push({ node, session, routes: await loadRoutes(session, node) });
    } catch (error) {
      if (!(error instanceof PgrepError) || error.code !== 'unreachable') throw error;
      unreachable.push({ node, error });
    }
  }
  return { sources, unreachable };
}

/**
 * The sources that answer; for each other node a warning, since it may be a mere target that is down, and then nothing is missing.
 * Throws when none answers, or when the one named does not.
 */
export async function answeringSources(app: App, from?: string): Promise<readonly Source[]> {
  const { sources, unreachable } = await openSources(app, from);
  const [first] = unreachable;
  if (first !== undefined && (from !== undefined || sources.length === 0)) throw first.error;
  for (const { node, error } of unreachable) {
    app.logger.warn({ node }, `Node ${node} is left out: ${error.message}`);
  }
  return sources;
}
