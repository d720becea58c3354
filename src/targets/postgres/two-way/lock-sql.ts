import { tableIdent } from '../../../db/quote.ts';
import { sameKey, stageName } from '../apply-sql.ts';
import { rowKey, type MeetingTable } from './meeting.ts';

/** Step a: locks the table's rows that the stage has, in key order. */
export function lockRowsSql(table: MeetingTable): string {
  return `select pg_catalog.count(*) from (select from ${tableIdent(table.route.targetTable)} t join ${stageName(table)} s on ${sameKey(table)} order by ${rowKey(table)} for update of t) l`;
}
