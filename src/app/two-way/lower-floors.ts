import { PgrepError } from '../../core/error.ts';
import { showTable } from '../../core/route.ts';
import { foldFunction } from '../../versions/fold-sql.ts';
import { tellsOfSql } from '../../versions/seen.ts';
import { peersSql, selfSql, unfoldedCondition } from '../../versions/version-sql.ts';
import type { App } from '../open.ts';
import type { Member } from './member.ts';
import { routesOfMesh, type NodeTable } from './routes-of-mesh.ts';

/**
 * Before a new node comes with rows of its own: all nodes that write the table forget a TRUNCATE that all of them have seen, or it would
 * empty the new node too, or they would refuse its rows as older. Throws `no` while one of them has not, as far as is known, and `unreachable` when one
 * does not answer, unless no node is new: then survivors are linked with each other, in the place of one that is lost.
 */
export async function lowerFloors(app: App, members: readonly Member[]): Promise<void> {
  for (const table of await writers(app, members)) {
    const session = await app.session(table.node);
    await session.query(`select ${foldFunction(table.tableId)}(1)`);
    await session.query(lowerSql(table.tableId));
    const { rows } = await session.query('select from pgrep.versioned_table where table_id = $1 and floor_version > 0', [table.tableId]); // prettier-ignore
    if (rows.length > 0) throw notSeen(table);
  }
}

/** The table at all nodes that two-way routes lead to already, from any member. */
async function writers(app: App, members: readonly Member[]): Promise<readonly NodeTable[]> {
  const found = new Map<string, NodeTable>();
  const isLinked = ({ routes }: Member): boolean => routes.some((route) => route.twoWay !== null);
  const silent = members.every(isLinked) ? 'skip' : 'refuse';
  for (const member of members) {
    const { node, description, capture, routes } = member;
    if (found.has(node) || !isLinked(member)) continue;
    const home = { node, table: description.table, tableId: capture.tableId, routes };
    for (const table of await routesOfMesh(app, home, silent)) found.set(table.node, table);
  }
  return [...found.values()];
}

// Nothing older than the TRUNCATE can arrive any more from peers that have seen it. A row below it that is not folded yet still needs it for its version.
// Its markers in the queue stay for one-way targets, but not as a TRUNCATE of this node: folded anew after a crash, they would raise the floor again.
function lowerSql(tableId: string): string {
  return `with lowered as (
  update pgrep.versioned_table v set floor_version = 0, floor_xid = 0
  where v.table_id = ${tableId} and v.floor_version > 0
    and not exists (select from pgrep.queue_${tableId} q where q.from_node is null and q.version < v.floor_version and ${unfoldedCondition(tableId)})
    and not exists (select ${peersSql(tableId)} and not exists (
      select from pgrep.node n where n.name = r.target and (n.node_id = v.floor_version & 255 or exists (
        select from pgrep.peer_seen s where s.peer = n.node_id and s.origin = v.floor_version & 255 and ${tellsOfSql('s', tableId)}
          and pg_catalog.pg_visible_in_snapshot(v.floor_xid::text::xid8, s.snapshot)))))
  returning v.table_id)
update pgrep.queue_${tableId} q set from_node = ${selfSql} where q.truncated and q.from_node is null and exists (select from lowered)`;
}

function notSeen({ node, table }: NodeTable): PgrepError {
  return new PgrepError(
    'no',
    `Node ${node} does not know yet that every node has seen the last TRUNCATE of ${showTable(table)}; until then it would take the new node's rows for older ones and delete them.`,
    { hint: 'Let pgrep run until pgrep wait returns, then repeat the command.' },
  );
}
