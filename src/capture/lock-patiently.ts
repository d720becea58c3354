import { backoffMs } from '../core/backoff.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { literal, tableIdent } from '../db/quote.ts';
import { isLockFailure } from '../db/sqlstate.ts';
import { capturePath } from './capture-sql.ts';
import type { CaptureDatabase } from './database.ts';

/** How long to try for a table lock. */
export interface LockPatience {
  /** One try's `lock_timeout`: the longest that the application's writes can queue behind it. Default 500 ms. */
  readonly lockTimeoutMs?: number;
  /** All tries together; then `no` is thrown. Default 60 s. */
  readonly limitMs?: number;
}

/**
 * Runs `work` in one transaction at the source. Whenever it cannot get a lock in time it is rolled back and tried again
 * after a growing pause, so that the application's statements never queue behind it for long.
 * Throws `no` and names who holds the lock when `limitMs` is over; other failures of `work` are thrown as they are.
 */
export async function lockPatiently<T>(
  db: CaptureDatabase,
  options: LockPatience & { readonly table: TableName; readonly what: string },
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { lockTimeoutMs = 500, limitMs = 60_000, table, what } = options;
  const end = monotonicMs() + limitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await inTransaction(db, lockTimeoutMs, work);
    } catch (error) {
      if (!isLockFailure(error)) throw error;
      const holders = await lockHolders(db, table);
      if (monotonicMs() >= end || signal.aborted) throw locked({ table, what, limitMs, holders, cause: error });
      await pause(backoffMs(attempt, { baseMs: 100, capMs: 3_000 }), signal);
    }
  }
}

async function inTransaction<T>(db: CaptureDatabase, lockTimeoutMs: number, work: () => Promise<T>): Promise<T> {
  await db.query('begin isolation level read committed');
  try {
    await db.query(`set local lock_timeout to ${Math.round(lockTimeoutMs)}`);
    await db.query(capturePath);
    const result = await work();
    await db.query('commit');
    return result;
  } catch (error) {
    // When this fails too the connection is gone and the server rolls back by itself.
    await db.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Who holds a lock that writers of the table hold, one line each. */
async function lockHolders(db: CaptureDatabase, table: TableName): Promise<readonly string[]> {
  const { rows } = await db.query(
    `select distinct coalesce('process ' || l.pid || ' (' || coalesce(nullif(a.application_name, ''), 'no name') || ', user ' || coalesce(a.usename, '?')
        || ', transaction open for ' || coalesce(pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start)::text, '?') || ')',
        'a prepared transaction (see pg_prepared_xacts)') as holder
     from pg_catalog.pg_locks l
     left join pg_catalog.pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'relation' and l.granted and l.mode <> 'AccessShareLock' and l.pid is distinct from pg_catalog.pg_backend_pid()
       and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
       and l.relation in (
         select pg_catalog.to_regclass(${literal(tableIdent(table))})
         union all select t.relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass(${literal(tableIdent(table))})) t
       )
     order by 1`,
  );
  return rows.map((row) => String(row['holder']));
}

function locked(options: {
  readonly table: TableName;
  readonly what: string;
  readonly limitMs: number;
  readonly holders: readonly string[];
  readonly cause: unknown;
}): PgrepError {
  const { table, what, limitMs, holders, cause } = options;
  const who = holders.length === 0 ? 'Transactions that come and go hold it' : `It is held by ${holders.join('; ')}`;
  return new PgrepError(
    'no',
    `Could not ${what}: table ${showTable(table)} was locked at every try for ${Math.round(limitMs / 1000)} s. ${who}.`,
    {
      hint: 'Nothing was changed. Let the transaction end, or end it with select pg_terminate_backend(pid), and run the command again.',
      cause,
    },
  );
}
