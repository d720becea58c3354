import { ident } from '../db/quote.ts';
import type { TwoWay } from '../core/route.ts';
import { queueWithKeys, sameKeySql, stampSql, unfoldedCondition, unfoldedSql } from '../versions/version-sql.ts';
import type { VersionedTable } from '../versions/versioned-table.ts';

/** What a two-way route may send: `self` and `target` are node ids. */
export interface Sendable {
  readonly self: number;
  readonly target: number;
  readonly twoWay: TwoWay;
}

/** Conditions on queue rows (alias `q`): `unseen` by the position, and of these the ones that the batch takes. */
export interface QueueExtent {
  readonly unseen: string;
  readonly taken: string;
}

/**
 * The distinct keys of a two-way route that a batch takes, named as the table's key columns, with what
 * tells their version: `pgrep_stamp` (version and transaction of the newest local change, a bigint[]; null: none is left in
 * the queue) and `pgrep_inserted`. What arrived from the target itself does not go back; what arrived from others goes on only if the
 * route forwards. Versions count all that is visible, also beyond the batch: the row is read as it is now.
 */
export function stampedQueuedKeys(table: VersionedTable, extent: QueueExtent, sendable: Sendable): string {
  const { self, target, twoWay } = sendable;
  const forwarded = twoWay.forward ? `q.from_node <> ${target}` : `q.from_node = ${self}`;
  return `select ${named(table, 'k')},
  pg_catalog.max(${stampSql}) filter (where q.from_node is null) as pgrep_stamp, coalesce(pg_catalog.bool_or(q.inserted) filter (where q.from_node is null), false) as pgrep_inserted
from ${queueWithKeys(table)}
where ((${extent.unseen}) or ${unfoldedCondition(table.tableId)}) and not q.truncated
group by ${table.key.map(({ name }) => `k.${name}`).join(', ')}
having pg_catalog.bool_or(${extent.taken} and (q.from_node is null or ${forwarded}))`;
}

/** The same for keys that a query names (a retry, a chunk of a copy). */
export function stampedNamedKeys(table: VersionedTable, keys: string): string {
  const renamed = table.key.map(({ column, name }) => `n.${ident(column)} as ${name}`).join(', ');
  return `select ${named(table, 'c')}, u.stamp as pgrep_stamp, coalesce(u.inserted, false) as pgrep_inserted
from (select ${renamed} from (${keys}) n) c left join (${unfoldedSql(table)}) u on ${sameKeySql(table, 'u', 'c')}`;
}

function named(table: VersionedTable, alias: string): string {
  return table.key.map(({ column, name }) => `${alias}.${name} as ${ident(column)}`).join(', ');
}
