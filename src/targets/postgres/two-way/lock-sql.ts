import { tableIdent } from '../../../db/quote.ts';
import { differs, sameKey, stageName } from '../apply-sql.ts';
import { rowKey, type MeetingTable } from './meeting.ts';

/** Step a: locks the table's rows that the stage has, in key order. */
export function lockRowsSql(table: MeetingTable): string {
  return `select pg_catalog.count(*) from (select from ${tableIdent(table.route.targetTable)} t join ${stageName(table)} s on ${sameKey(table)} order by ${rowKey(table)} for update of t) l`;
}

/**
 * Instead of step a, after the judgement and right before the merge: locks those rows that the merge will not touch, since they are equal
 * already. What it touches it locks itself. Whoever came in between judgement and merge is found by step d.
 */
export function lockUntouchedSql(table: MeetingTable): string {
  return `select pg_catalog.count(*) from (select from ${tableIdent(table.route.targetTable)} t join ${stageName(table)} s on ${sameKey(table)}
where s.live and not (${differs(table)}) for update of t) l`;
}
