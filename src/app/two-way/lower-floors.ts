import { PgrepError } from '../../core/error.ts';
import { showTable } from '../../core/route.ts';
import { foldFunction } from '../../versions/fold-sql.ts';
import { peersSql, unfoldedCondition } from '../../versions/version-sql.ts';
import type { App } from '../open.ts';
import { peersOf, type Member } from './member.ts';

/**
 * Before rows of a new node are merged: members forget a TRUNCATE that all of them have seen, or it would empty the new node too. Throws
 * `no` while one of them has not, as far as is known.
 */
export async function lowerFloors(app: App, members: readonly Member[]): Promise<void> {
  for (const member of members) {
    if (peersOf(member).length === 0) continue;
    const session = await app.session(member.node);
    const { tableId } = member.capture;
    await session.query(`select ${foldFunction(tableId)}(1)`);
    await session.query(lowerSql(tableId));
    const { rows } = await session.query('select from pgrep.versioned_table where table_id = $1 and floor_version > 0', [tableId]); // prettier-ignore
    if (rows.length > 0) throw notSeen(member);
  }
}

// Nothing older than the TRUNCATE can arrive any more from peers that have seen it. A row below it that is not folded yet still needs it for its version.
function lowerSql(tableId: string): string {
  return `update pgrep.versioned_table v set floor_version = 0, floor_xid = 0
where v.table_id = ${tableId} and v.floor_version > 0
  and not exists (select from pgrep.queue_${tableId} q where q.from_node is null and q.version < v.floor_version and ${unfoldedCondition(tableId)})
  and not exists (select ${peersSql(tableId)} and not exists (
    select from pgrep.node n where n.name = r.target and (n.node_id = v.floor_version & 255 or exists (
      select from pgrep.peer_seen s where s.peer = n.node_id and s.origin = v.floor_version & 255
        and pg_catalog.pg_visible_in_snapshot(v.floor_xid::text::xid8, s.snapshot)))))`;
}

function notSeen({ node, description }: Member): PgrepError {
  const table = showTable(description.table);
  return new PgrepError(
    'no',
    `Node ${node} does not know yet that every node has seen the last TRUNCATE of ${table}; until then it would take the new node's rows for older ones and delete them.`,
    { hint: 'Let pgrep run until pgrep wait returns, then repeat the command.' },
  );
}
