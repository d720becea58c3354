import type { Route } from '../../core/route.ts';
import type { Session } from '../../db/session.ts';
import { serverLife } from '../../db/server-life.ts';

/**
 * The snapshot that a two-way route begins at, to be read after the route was stored, which keeps the queue from then on: all that
 * some other peer of the table may not have seen yet comes after it. A change that the new peer could get from one node only,
 * or in a version that others know to be gone, is so sent to it by the node that made it. Without other peers: all that is
 * queued, also what was changed while the command was looking whether the table holds rows.
 */
export async function firstPosition(session: Session, route: Route): Promise<{ snapshot: string; peers: boolean }> {
  // Exactly what all have seen: were a TRUNCATE to come again without all that was inserted after it, it would take that away.
  const { rows } = await session.query(
    `select case when p.peers = 0 or p.unknown then '1:1:' else pgrep.with_open(p.least, p.open)::text end as snapshot, p.peers > 0 as peers
     from (select pg_catalog.count(*) as peers,
         pg_catalog.bool_or(not r.joined or l.confirmed is null or l.confirmed_in is distinct from ${serverLife}) as unknown,
         (pg_catalog.array_agg(l.confirmed order by pg_catalog.pg_snapshot_xmax(l.confirmed)))[1] as least,
         pg_catalog.array_agg(x.xid) filter (where x.xid is not null) as open
       from pgrep.route r left join pgrep.link_state l on l.target = r.target
       left join lateral pg_catalog.pg_snapshot_xip(l.confirmed) x (xid) on true
       where r.table_id = $1 and r.target <> $2 and r.state = 'live' and r.options @> '{"twoWay": true}') p`,
    [route.tableId, route.target],
  );
  return { snapshot: String(rows[0]?.['snapshot']), peers: rows[0]?.['peers'] === 't' };
}
