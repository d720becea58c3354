import { tableIdent } from '../../../db/quote.ts';
import { sameKey, stageName } from '../apply-sql.ts';
import { rowKey, type MeetingTable } from './meeting.ts';

/** Step a: locks the table's rows that the stage has, in key order. */
export function lockRowsSql(table: MeetingTable): string {
  return `select pg_catalog.count(*) from (select from ${tableIdent(table.route.targetTable)} t join ${stageName(table)} s on ${sameKey(table)} order by ${rowKey(table)} for update of t) l`;
}

/** Keeps others from folding the table until the transaction ends, where rows are deleted in it, or a floor is raised (`floor`). */
export function keepUnfoldedSql(table: MeetingTable, floor: boolean): string {
  const row = `select from pgrep.versioned_table v where v.table_id = ${table.versioned.tableId}`;
  return floor
    ? `${row} for update`
    : `${row} and exists (select from ${stageName(table)} s where not s.live) for share`;
}
