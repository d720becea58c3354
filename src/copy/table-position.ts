import type { Link, Route } from '../core/route.ts';
import type { Session } from '../db/session.ts';

/** Where a link's positions are kept: at a Postgres target, else at the source. */
export interface PositionStore {
  readonly session: Session;
  readonly link: Link;
}

/** Tells where a table stands in its copy; null: it is not being copied and follows the link. */
export async function readTablePosition(
  store: PositionStore,
  routeId: string,
): Promise<{ copied: boolean; copiedRows: number } | null> {
  const { rows } = await store.session.query(
    'select copied, copied_rows from pgrep.table_position where source = $1 and target = $2 and route_id = $3',
    [store.link.source, store.link.target, routeId],
  );
  const row = rows[0];
  return row === undefined ? null : { copied: row['copied'] === 't', copiedRows: Number(row['copied_rows']) };
}

/**
 * Moves a link's fence: a batch that is under way with routes as they were cannot commit any more. To be called after the routes
 * were changed and before the table's snapshot is taken, or such a batch could write older rows over those of the copy.
 */
export async function moveFence(store: PositionStore): Promise<void> {
  await store.session.query('update pgrep.position set epoch = epoch + 1 where source = $1 and target = $2', [
    store.link.source,
    store.link.target,
  ]);
}

/**
 * Forgets a link's position when it was taken in another database than `origin`: it means nothing here. The link's other tables
 * then ask to be copied too.
 */
export async function forgetForeignPosition(
  store: PositionStore,
  origin: { readonly systemIdentifier: string; readonly database: string },
): Promise<void> {
  await store.session.query(
    `update pgrep.position set epoch = epoch + 1, snapshot = null, system_identifier = null, database = null, timeline = null
     where source = $1 and target = $2 and system_identifier is not null
       and (system_identifier, database) is distinct from ($3::bigint, $4::text)`,
    [store.link.source, store.link.target, origin.systemIdentifier, origin.database],
  );
}

/**
 * Begins a table's own position at `snapshot`: rows changed since are replayed when the table joins the link's batches.
 * `copied`: there is nothing to copy. An existing one is replaced: the copy begins anew.
 */
export async function beginTablePosition(
  store: PositionStore,
  { route, snapshot, copied }: { route: Route; snapshot: string; copied: boolean },
): Promise<void> {
  const { schema, name } = route.targetTable;
  const target = route.twoWay === null ? [null, null] : [schema, name];
  await store.session.query(
    `insert into pgrep.table_position (source, target, route_id, snapshot, copied, table_id)
     values ($1, $2, $3, $4::pg_snapshot, $5, (select t.table_id from pgrep.captured_table t where (t.nsp_name, t.table_name) = ($6, $7)))
     on conflict (source, target, route_id) do update set snapshot = excluded.snapshot, copied = excluded.copied,
       table_id = excluded.table_id, last_key = null, copied_rows = 0`,
    [store.link.source, store.link.target, route.id, snapshot, copied, ...target],
  );
}

/** Forgets where tables stood. */
export async function dropTablePositions(store: PositionStore, routeIds: readonly string[]): Promise<void> {
  await store.session.query(
    'delete from pgrep.table_position where source = $1 and target = $2 and route_id = any ($3::bigint[])',
    [store.link.source, store.link.target, routeIds],
  );
}
