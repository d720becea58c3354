import { keysInRow } from '../versions/version-sql.ts';
import { queueName } from './queue-table.ts';
import { unseenCondition } from './unseen.ts';
import type { WatchedQueue } from './peek.ts';

/**
 * Query for the transaction (xid8) before which a batch ends so that it holds about `maxBatchRows` keys over all tables; null:
 * nothing is queued. A transaction is never divided: where the first one alone is larger, the batch ends after it.
 */
export function cutoffSql(watched: readonly WatchedQueue[], maxBatchRows: number): string {
  const each = watched.map(
    ({ queue, snapshot }) => `(select q.xid, ${keysInRow(queue)} as n from ${queueName(queue.tableId)} q
     where ${unseenCondition(snapshot, null)} order by q.xid limit ${maxBatchRows + 1})`,
  );
  return `select coalesce(
  (pg_catalog.array_agg(c.xid order by c.xid) filter (where c.upto > ${maxBatchRows} and c.xid > c.first))[1]::text,
  ((pg_catalog.array_agg(c.first))[1]::text::bigint + 1)::text) as cutoff
from (select t.xid, pg_catalog.sum(t.n) over (order by t.xid) as upto,
        pg_catalog.first_value(t.xid) over (order by t.xid) as first
      from (${each.join(' union all ')}) t) c`;
}
