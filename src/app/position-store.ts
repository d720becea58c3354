import type { PositionStore } from '../copy/table-position.ts';
import type { Link } from '../core/route.ts';
import { configuredNode, type App } from './open.ts';

/** Where a link's positions are kept: at the target if that is Postgres, else at the source. */
export async function positionStore(app: App, link: Link): Promise<PositionStore> {
  const atTarget = configuredNode(app.config, link.target).kind === 'postgres';
  return { session: await app.session(atTarget ? link.target : link.source), link };
}
