import { uninstallCapture } from '../capture/install-capture.ts';
import type { TableName } from '../core/route.ts';
import { dropVersions } from '../versions/install-versions.ts';
import type { App } from './open.ts';

/**
 * Ends what a table no longer needs at a node: versions without a two-way route, capture without any route, which nothing would ever
 * empty the queue of. Harmless to repeat.
 */
export async function endCapture(
  app: App,
  { node, tableId, table }: { node: string; tableId: string; table: TableName },
  signal: AbortSignal,
): Promise<void> {
  await using own = await app.ownSession(node);
  const { rows } = await own.query(
    `select pg_catalog.count(*) as routes, pg_catalog.count(*) filter (where r.options @> '{"twoWay": true}') as two_way from pgrep.route r where r.table_id = $1`,
    [tableId],
  );
  if (rows[0]?.['two_way'] === '0') await dropVersions(own, tableId);
  if (rows[0]?.['routes'] === '0') await uninstallCapture(own, { tableId, table }, signal);
}
