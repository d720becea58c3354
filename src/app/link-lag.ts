import { readPosition } from './link-position.ts';
import type { Route } from '../core/route.ts';
import { queueName } from '../queue/queue-table.ts';
import { keysInRow } from '../versions/version-sql.ts';
import { crashedSql } from '../db/server-life.ts';
import { unseenCondition } from '../queue/unseen.ts';
import { positionStore } from './position-store.ts';
import type { App } from './open.ts';
import type { Source } from './sources.ts';

/** What a link's tables have not seen yet. */
export interface LinkLag {
  readonly seconds: number;
  readonly keys: number;
  readonly appliedAt: string | null;
}

/** Queued changes of a link's tables with the snapshot that each has seen, as conditions on queue rows (alias `q`). */
export async function unseenOfLink(
  app: App,
  source: Source,
  target: string,
): Promise<{ readonly queues: readonly { route: Route; condition: string }[]; readonly appliedAt: string | null }> {
  const link = { source: source.node, target };
  const position = await readPosition(await positionStore(app, link));
  // After a crash the daemon sends everything again: until then nothing counts as seen.
  const { rows } = await source.session.query(`select ${crashedSql('$1')} as crashed`, [target]);
  const crashed = rows[0]?.['crashed'] === 't';
  const queues = source.routes
    .filter((route) => route.target === target)
    .map((route) => ({
      route,
      condition: unseenCondition(
        crashed ? '1:1:' : (position.tables.get(route.id) ?? position.snapshot ?? '1:1:'),
        null,
      ),
    }));
  return { queues, appliedAt: position.appliedAt };
}

/** Counts what a link has not seen and how old the oldest of it is. */
export async function linkLag(app: App, source: Source, target: string): Promise<LinkLag> {
  const { queues, appliedAt } = await unseenOfLink(app, source, target);
  if (queues.length === 0) return { seconds: 0, keys: 0, appliedAt };
  const each = queues.map(
    ({ route, condition }) =>
      `select pg_catalog.sum(${keysInRow(route)}) as keys, pg_catalog.min(q.version) as oldest from ${queueName(route.tableId)} q where ${condition}`,
  );
  const { rows } = await source.session.query(
    `select coalesce(pg_catalog.sum(u.keys), 0) as keys,
       coalesce(greatest(extract(epoch from pg_catalog.clock_timestamp()) - (pg_catalog.min(u.oldest) >> 8) / 1000000.0, 0), 0)::float8 as seconds
     from (${each.join('\nunion all\n')}) u`,
  );
  return { seconds: Number(rows[0]?.['seconds'] ?? 0), keys: Number(rows[0]?.['keys'] ?? 0), appliedAt };
}
