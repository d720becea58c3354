import type { Session } from '../db/session.ts';

/** A row that a target refused, as it is recorded; the shape of the target contract's `RefusedRow`. */
export interface Refusal {
  readonly route: {
    readonly id: string;
    readonly target: string;
    readonly sourceTable: { readonly schema: string; readonly name: string };
  };
  readonly key: readonly string[];
  readonly statement: string;
  readonly reason: string;
  readonly message: string;
}

/**
 * Records refused rows at the source, one record a key: a key that was held already counts one attempt more.
 * The next attempt is due after 10 s, doubling to an hour. One statement, whatever the number of rows.
 */
export async function recordRefusals(session: Session, refused: readonly Refusal[]): Promise<void> {
  await session.query(
    `insert into pgrep.sync_err_rec as e (nsp_name, table_name, dst_server, dst_query, route_id, key, reason, message, next_time)
     select r.nsp_name, r.table_name, r.dst_server, r.dst_query, r.route_id,
       array(select k.v from pg_catalog.json_array_elements_text(r.key) with ordinality k (v, n) order by k.n), r.reason, r.message,
       pg_catalog.clock_timestamp() + interval '10 s'
     from pg_catalog.json_to_recordset($1::json) as r (nsp_name text, table_name text, dst_server text, dst_query text,
       route_id bigint, key json, reason text, message text)
     on conflict (route_id, key) do update set dst_query = excluded.dst_query, reason = excluded.reason, message = excluded.message,
       attempts = e.attempts + 1, last_time = pg_catalog.clock_timestamp(),
       next_time = pg_catalog.clock_timestamp() + least(interval '1 hour', interval '10 s' * pg_catalog.power(2, least(e.attempts, 10)))`,
    [JSON.stringify(refused.map(recordOf))],
  );
}

function recordOf(refusal: Refusal): Readonly<Record<string, unknown>> {
  return {
    nsp_name: refusal.route.sourceTable.schema,
    table_name: refusal.route.sourceTable.name,
    dst_server: refusal.route.target,
    dst_query: refusal.statement,
    route_id: refusal.route.id,
    key: refusal.key,
    reason: refusal.reason,
    message: refusal.message,
  };
}

/** A record that a retry is about, with the count of changes that the key had when it was read. */
export interface DueRecord {
  readonly id: string;
  readonly routeId: string;
  readonly key: readonly string[];
  readonly touched: string;
}

/** Reads records by id in the session's present snapshot. */
export async function readRecords(session: Session, ids: readonly string[]): Promise<readonly DueRecord[]> {
  const { rows } = await session.query(
    `select e.id, e.route_id, pg_catalog.to_json(e.key)::text as key, e.touched from pgrep.sync_err_rec e where e.id = any ($1::bigint[])`,
    [ids],
  );
  return rows.map((row) => ({
    id: String(row['id']),
    routeId: String(row['route_id']),
    key: JSON.parse(String(row['key'])) as readonly string[],
    touched: String(row['touched']),
  }));
}

/** Ids of a target's records, oldest first: those that are due, or (`all`) any. */
export async function oldestRecords(
  session: Session,
  target: string,
  options: { limit: number; all: boolean },
): Promise<readonly string[]> {
  const { rows } = await session.query(
    `select e.id from pgrep.sync_err_rec e
     where e.dst_server = $1 and ($3 or e.next_time <= pg_catalog.clock_timestamp()) order by e.create_time, e.id limit $2`,
    [target, options.limit, options.all],
  );
  return rows.map((row) => String(row['id']));
}

/**
 * Removes records whose rows have been applied, except those whose key has changed since they were read: these stay, due at once.
 */
export async function removeSettled(session: Session, settled: readonly DueRecord[]): Promise<void> {
  await session.query(
    `delete from pgrep.sync_err_rec e using rows from (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) as s (id, touched)
     where e.id = s.id and e.touched = s.touched`,
    [settled.map((record) => record.id), settled.map((record) => record.touched)],
  );
}

/**
 * Tells held keys that they have changed: they become due. False: one of the records is gone meanwhile, so that its key was left
 * out of the batch without reason and the batch must be begun again.
 */
export async function touchRecords(session: Session, ids: readonly string[]): Promise<boolean> {
  const { rowCount } = await session.query(
    `update pgrep.sync_err_rec set touched = touched + 1, next_time = pg_catalog.clock_timestamp() where id = any ($1::bigint[])`,
    [ids],
  );
  return rowCount === ids.length;
}

/** Rows that waited for a parent (23503) become due again once something of their target has succeeded. */
export async function wakeMissingParents(session: Session, target: string): Promise<void> {
  await wake(session, target, ['23503']);
}

/**
 * Rows that met another one at the target of a two-way route (a second unique value, an exclusion constraint, a conflict that is held) become
 * due again once something has arrived from elsewhere, which may be what decides them.
 */
export async function wakeBlocked(session: Session, target: string): Promise<void> {
  await wake(session, target, ['23505', '23P01', 'conflict']);
}

async function wake(session: Session, target: string, reasons: readonly string[]): Promise<void> {
  await session.query(
    `update pgrep.sync_err_rec set next_time = pg_catalog.clock_timestamp()
     where dst_server = $1 and reason = any ($2) and next_time > pg_catalog.clock_timestamp()`,
    [target, reasons],
  );
}

/** Takes what SQL asked for by `pgrep.deal_sync_err_rec`: the largest limit, or null. */
export async function takeRetryRequests(session: Session): Promise<number | null> {
  const { rows } = await session.query(
    `with taken as (delete from pgrep.request where kind = 'retry' returning row_limit)
     select pg_catalog.max(t.row_limit) as row_limit from taken t`,
  );
  const limit = rows[0]?.['row_limit'];
  return typeof limit === 'string' ? Number(limit) : null;
}
