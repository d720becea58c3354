import type { Route } from '../core/route.ts';
import { ident, tableIdent } from '../db/quote.ts';

/** What the batch reader has to know of a captured table's queue. */
export type QueueTable = Pick<Route, 'tableId' | 'packed' | 'key'>;

/** `pgrep.queue_7`: the queue of captured table 7. */
export function queueName(tableId: string): string {
  return `pgrep.queue_${tableId}`;
}

/** Query for the distinct keys in the queue under a condition on alias `q`, columns named as the source's key columns. */
export function queuedKeys(queue: QueueTable, condition: string): string {
  const names = queue.key.map((_, index) => `k${index + 1}`);
  const columns = queue.key.map((column, index) => `k.k${index + 1} as ${ident(column)}`).join(', ');
  const from = queue.packed
    ? `${queueName(queue.tableId)} q cross join lateral rows from (${names
        .map((name) => `pg_catalog.unnest(q.${name})`)
        .join(', ')}) as k (${names.join(', ')})`
    : `${queueName(queue.tableId)} q cross join lateral (select ${names.map((name) => `q.${name}`).join(', ')}) as k`;
  return `select distinct ${columns} from ${from} where ${condition} and not q.truncated`;
}

/** SQL for the number of keys in one queue row (alias `q`). */
export function keysInRow(queue: QueueTable): string {
  return queue.packed ? 'coalesce(pg_catalog.cardinality(q.k1), 1)' : '1';
}

/** From-item of the live rows that belong to a route: its columns by source names, without alias. */
export function routeRows(route: Route): string {
  const columns = route.columns.map((column) => ident(column.source)).join(', ');
  const filter = route.filter === null ? '' : ` where (${route.filter}\n)`;
  return `(select ${columns} from ${tableIdent(route.sourceTable)}${filter})`;
}
