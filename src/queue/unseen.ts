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
