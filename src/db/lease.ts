import type { Session } from './session.ts';

/**
 * Tries to take the right to replay a link: a session-level advisory lock at the source, gone with the session.
 * It only saves double work; that nothing is applied twice rests on the fence (epoch) alone.
 */
export async function tryLease(session: Session, target: string): Promise<boolean> {
  const { rows } = await session.query(
    `select pg_catalog.pg_try_advisory_lock(${leaseClass}, pg_catalog.hashtext($1)) as got`,
    [target],
  );
  return rows[0]?.['got'] === 't';
}

/** Gives the lease back; harmless when it is not held. */
export async function releaseLease(session: Session, target: string): Promise<void> {
  await session.query(`select pg_catalog.pg_advisory_unlock(${leaseClass}, pg_catalog.hashtext($1))`, [target]);
}

/** The targets whose lease somebody holds in this database, out of `targets`. */
export async function heldLeases(session: Session, targets: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await session.query(
    `select t.target
     from pg_catalog.unnest($1::text[]) as t(target)
     join pg_catalog.pg_locks l
       on l.locktype = 'advisory' and l.classid::bigint = ${leaseClass} and l.objsubid = 2 and l.granted
      and l.objid::bigint = pg_catalog.hashtext(t.target)::bigint & 4294967295
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`,
    [targets],
  );
  return new Set(rows.map((row) => String(row['target'])));
}

// "pgre" in ASCII: keeps our two-key advisory locks apart from other programs'.
const leaseClass = 1885827685;
