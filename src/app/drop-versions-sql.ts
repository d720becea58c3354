import { foldFunction } from '../versions/fold-sql.ts';
import { pruneFunction } from '../versions/prune-sql.ts';
import { sidecarName } from '../versions/versioned-table.ts';

/** What ends the keeping of a table's versions, for `--dry-run`. */
export function dropVersionsSql(tableId: string): readonly string[] {
  return [
    `drop function if exists ${foldFunction(tableId)}(integer), ${pruneFunction(tableId)}()`,
    `drop table if exists ${sidecarName(tableId)}`,
    `delete from pgrep.versioned_table where table_id = ${tableId}`,
  ];
}
