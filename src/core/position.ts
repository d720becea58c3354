import { PgrepError } from './error.ts';

/** A parsed `pg_snapshot`: bigints, `xip` ascending. A transaction is unseen if it is in `xip` or not below `xmax`. */
export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
}

/** Parses `xmin:xmax:xip,…` (PostgreSQL manual, "Transaction ID and Snapshot Information Functions"). */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text);
  if (match === null) throw new PgrepError('bug', `'${text}' is not a pg_snapshot.`);
  const [, xmin = '0', xmax = '0', list = ''] = match;
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), xip: list === '' ? [] : list.split(',').map(BigInt) };
}

/** The text form that PostgreSQL reads. */
export function showSnapshot(snapshot: Snapshot): string {
  return `${snapshot.xmin}:${snapshot.xmax}:${snapshot.xip.join(',')}`;
}

/**
 * The position after handling, out of `now`, only transactions below `cutoff`: everything from `cutoff` on is unseen.
 * Used to work off a backlog in several batches.
 */
export function cutSnapshot(now: Snapshot, cutoff: bigint): Snapshot {
  if (cutoff >= now.xmax) return now;
  const xip = now.xip.filter((xid) => xid < cutoff);
  return { xmin: now.xmin < cutoff ? now.xmin : cutoff, xmax: cutoff, xip };
}
