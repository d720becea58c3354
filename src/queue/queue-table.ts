import type { Route } from '../core/route.ts';
import { ident, tableIdent } from '../db/quote.ts';
import { queueWithKeys } from '../versions/version-sql.ts';

/** What the batch reader has to know of a captured table's queue. */
export type QueueTable = Pick<Route, 'tableId' | 'packed' | 'key'>;

/** `pgrep.queue_7`: the queue of captured table 7. */
export function queueName(tableId: string): string {
  return `pgrep.queue_${tableId}`;
}

/** Query for the distinct keys in the queue under a condition on alias `q`, columns named as the source's key columns. */
export function queuedKeys(queue: QueueTable, condition: string): string {
  const key = queue.key.map((_, index) => ({ name: `k${index + 1}` }));
  const columns = queue.key.map((column, index) => `k.k${index + 1} as ${ident(column)}`).join(', ');
  return `select distinct ${columns} from ${queueWithKeys({ ...queue, key })} where ${condition} and not q.truncated`;
}

/** From-item of the live rows that belong to a route: its columns by source names, without alias. */
export function routeRows(route: Route): string {
  const columns = route.columns.map((column) => ident(column.source)).join(', ');
  const filter = route.filter === null ? '' : ` where (${route.filter}\n)`;
  return `(select ${columns} from ${tableIdent(route.sourceTable)}${filter})`;
}
