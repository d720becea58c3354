import { serverLife } from '../db/server-life.ts';
import { foldFunction, inOrder } from './fold-sql.ts';

/**
 * Statements for a node whose server may have crashed since its queues were last folded. A crash gives ids of transactions that
 * left no trace out again, and then what was folded may count new ones as folded. So all that is queued is folded anew, which changes
 * nothing that is folded already.
 */
export function renewSql(tableIds: readonly string[]): readonly string[] {
  return [
    `update pgrep.versioned_table v set folded = '1:1:', life = ${serverLife} where v.life <> ${serverLife}`,
    ...inOrder(tableIds).map(
      (id) =>
        `select ${foldFunction(id)}(1) from pgrep.versioned_table v where v.table_id = ${id} and v.folded::text = '1:1:'`,
    ),
  ];
}
