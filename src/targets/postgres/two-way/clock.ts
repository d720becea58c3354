import { PgrepError } from '../../../core/error.ts';
import type { Link } from '../../../core/route.ts';

/** SQLSTATE of `pgrep.raise_clock`: a version is too far ahead. */
export const clockState = 'PGC01';

/** The error of a link whose versions are too far ahead of its target's clock. */
export function clockAhead(link: Link, cause: unknown): PgrepError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new PgrepError(
    'clock',
    `Node ${link.source} sent a change from the future of ${link.target}: ${detail}. Applying it would put the clock of ${link.target} ahead, too, and its own changes could not be told from late ones.`,
    {
      hint: `Set the clocks of both servers right (pgrep doctor shows the offset). The link goes on by itself once the time is near enough; replayer.maxClockSkewMs is how near.`,
      cause,
    },
  );
}
