import { serverLife } from '../db/server-life.ts';
import { foldFunction } from './fold-sql.ts';

/**
 * Statements for a node whose server may have crashed since its queues were last folded. A crash gives ids of transactions that
 * left no trace out again: what was folded may then count new ones as folded, and what peers have seen may count them as seen. So all
 * that is queued is folded anew, which changes nothing that is folded already, and peers have to say again what they have seen.
 */
export function renewSql(tableIds: readonly string[]): readonly string[] {
  return [
    `with renewed as (
  update pgrep.versioned_table v set folded = '1:1:', life = ${serverLife} where v.life <> ${serverLife} returning v.table_id)
delete from pgrep.peer_seen p using pgrep.node n where n.is_self and p.origin = n.node_id and exists (select from renewed)`,
    ...tableIds.map(
      (id) =>
        `select ${foldFunction(id)}(1) from pgrep.versioned_table v where v.table_id = ${id} and v.folded::text = '1:1:'`,
    ),
  ];
}
