import { PgrepError } from '../core/error.ts';
import type { Session } from '../db/session.ts';

/** Identifies a source database; the shape is `SourceOrigin` of the targets' contract. */
export interface Origin {
  readonly systemIdentifier: string;
  readonly database: string;
  readonly timeline: number;
}

/** Reads which database a session is connected to. The timeline is the one that WAL is written on now. */
export async function readOrigin(session: Session): Promise<Origin> {
  const { rows } = await session.query(
    `select s.system_identifier::text as id, pg_catalog.current_database() as database,
       pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) as timeline
     from pg_catalog.pg_control_system() s`,
  );
  const row = rows[0];
  if (row === undefined) throw new PgrepError('bug', 'pg_control_system gave no row.');
  return {
    systemIdentifier: String(row['id']),
    database: String(row['database']),
    timeline: Number.parseInt(String(row['timeline']), 16),
  };
}

/** What a source that may have been replaced means for a position taken in `before`. */
export type OriginChange = 'same' | 'replaced' | 'promoted';

/** `replaced`: another cluster or database, the position means nothing there. `promoted`: a higher timeline of the same one. */
export function compareOrigins(before: Origin, now: Origin): OriginChange {
  if (before.systemIdentifier !== now.systemIdentifier || before.database !== now.database) return 'replaced';
  return now.timeline === before.timeline ? 'same' : 'promoted';
}
