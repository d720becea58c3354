import { ident, literal } from '../db/quote.ts';
import { changedFunction } from '../versions/changed-sql.ts';
import { sameKeySql, unfoldedSql } from '../versions/version-sql.ts';
import type { VersionedTable } from '../versions/versioned-table.ts';

/** Which part of a two-way route's queue a batch takes. */
export interface QueueExtent {
  /** What the target has seen, a `pg_snapshot` as text. */
  readonly seen: string;
  /** Transactions from here on wait for a later batch (xid8 as text); null: none do. */
  readonly cutoff: string | null;
  /** Node id of the target where what arrived from others is sent on to it, too; else null. */
  readonly forwardsTo: number | null;
}

/**
 * The distinct keys of a two-way route that a batch takes, named as the table's key columns, with what tells their version:
 * `pgrep_version` and `pgrep_xid` (of the newest local change; null: none is left in the queue), `pgrep_unfolded` (the version of the
 * newest one that is not folded yet; null: none), `pgrep_inserted`, and
 * `pgrep_foreign_too`: whether the row is sent also where its version is another node's.
 */
export function stampedQueuedKeys(table: VersionedTable, { seen, cutoff, forwardsTo }: QueueExtent): string {
  const before = cutoff === null ? 'null' : literal(cutoff);
  return `select ${named(table, 'q')}, q.version as pgrep_version, q.xid as pgrep_xid, q.unfolded as pgrep_unfolded, q.was_inserted as pgrep_inserted, q.foreign_too as pgrep_foreign_too
from ${changedFunction(table.tableId)}(${literal(seen)}, ${before}, ${forwardsTo ?? 'null'}::smallint) q`;
}

/** The same for keys that a query names (a retry, a chunk of a copy). */
export function stampedNamedKeys(table: VersionedTable, keys: string): string {
  const renamed = table.key.map(({ column, name }) => `n.${ident(column)} as ${name}`).join(', ');
  return `select ${named(table, 'c')}, u.stamp[1] as pgrep_version, u.stamp[2] as pgrep_xid, u.stamp[1] as pgrep_unfolded, coalesce(u.inserted, false) as pgrep_inserted, true as pgrep_foreign_too
from (select ${renamed} from (${keys}) n) c left join (${unfoldedSql(table)}) u on ${sameKeySql(table, 'u', 'c')}`;
}

function named(table: VersionedTable, alias: string): string {
  return table.key.map(({ column, name }) => `${alias}.${name} as ${ident(column)}`).join(', ');
}
