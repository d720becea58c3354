import { parseSnapshot } from '../core/position.ts';
import { literal } from '../db/quote.ts';

/**
 * SQL condition: queue rows (alias `q`) of transactions that the position has not seen.
 * Exact for any mix of long and short transactions, and served by the btree on xid; `cutoff` (an xid8 as text,
 * exclusive) leaves later transactions for later batches. PostgreSQL manual: "pg_snapshot Components".
 */
export function unseenCondition(snapshot: string, cutoff: string | null): string {
  const { xmax, xip } = parseSnapshot(snapshot);
  const later = `q.xid >= ${literal(String(xmax))}::xid8`;
  const unseen = xip.length === 0 ? later : `(${later} or q.xid = any (${literal(`{${xip.join(',')}}`)}::xid8[]))`;
  return cutoff === null ? unseen : `${unseen} and q.xid < ${literal(cutoff)}::xid8`;
}

/** The same for a prepared statement: $1 is the position's xmax (xid8), $2 its xip (xid8[]), empty where `hasXip` is false. */
export function unseenParameters(hasXip: boolean): string {
  return hasXip ? '(q.xid >= $1 or q.xid = any ($2))' : 'q.xid >= $1';
}

/** Arguments for `execute`, matching `unseenParameters`. */
export function unseenArguments(snapshot: string): { readonly sql: string; readonly hasXip: boolean } {
  const { xmax, xip } = parseSnapshot(snapshot);
  return { sql: `(${literal(String(xmax))}, ${literal(`{${xip.join(',')}}`)})`, hasXip: xip.length > 0 };
}
