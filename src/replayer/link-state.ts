import type { Session } from '../db/session.ts';
import { serverLife } from '../db/server-life.ts';

/** What a replayer writes of its link into `pgrep.link_state` at the source; undefined leaves a member as it is. */
export interface LinkReport {
  readonly state?: 'running' | 'retrying' | 'stopped';
  /** Null clears it. */
  readonly lastError?: string | null;
  readonly rate?: number;
  readonly catchingUp?: boolean;
  /** A position that the target has flushed. */
  readonly confirmed?: string;
}

/** Writes a report. */
export async function reportLink(session: Session, target: string, report: LinkReport): Promise<void> {
  await session.query(
    `insert into pgrep.link_state as l (target, state, last_error, rate, catching_up, confirmed, confirmed_at, confirmed_in)
     values ($1, coalesce($2::text, 'new'), $3::text, coalesce($5::double precision, 0), coalesce($6::boolean, false), $7::pg_snapshot,
       case when $7::pg_snapshot is not null then pg_catalog.now() end, case when $7::pg_snapshot is not null then ${serverLife} end)
     on conflict (target) do update set state = coalesce($2::text, l.state),
       last_error = case when $4::boolean then $3::text else l.last_error end,
       rate = coalesce($5::double precision, l.rate), catching_up = coalesce($6::boolean, l.catching_up),
       confirmed = coalesce($7::pg_snapshot, l.confirmed),
       confirmed_at = case when $7::pg_snapshot is not null then pg_catalog.now() else l.confirmed_at end,
       confirmed_in = case when $7::pg_snapshot is not null then ${serverLife} else l.confirmed_in end, updated_at = pg_catalog.now()`,
    [
      target,
      report.state ?? null,
      report.lastError ?? null,
      report.lastError !== undefined,
      report.rate ?? null,
      report.catchingUp ?? null,
      report.confirmed ?? null,
    ],
  );
}
