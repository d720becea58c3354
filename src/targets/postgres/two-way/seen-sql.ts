import { literal } from '../../../db/quote.ts';
import { crashedSql } from '../../../db/server-life.ts';
import { seenSql } from '../../../versions/seen.ts';
import { settings } from './judge-sql.ts';
import type { MeetingTable } from './meeting.ts';

/**
 * SQL condition: the sender of the batch had seen the local version of `row`, or had written it. What it says of this node counts
 * only once it has had a batch from here since the server's last crash, which gives ids of transactions out again.
 */
export function senderSaw(table: MeetingTable, row: string): string {
  const seen = `pg_catalog.json_array_elements(pg_catalog.current_setting('${settings.seen}')::json)`;
  const origin = `(${row}.local_version & 255)`;
  return `(${origin} = pg_catalog.current_setting('${settings.sender}')::smallint or (${anySaw(seen, `${row}.local_version`, `${row}.local_xid`)}
      and not (${origin} = ${row}.self and ${crashedSql(literal(table.route.source))})))`;
}

/**
 * SQL condition: the node that wrote the local version of `row` had seen the staged one. What the sender wrote it knows itself;
 * what was written here was written with what this node had seen before the batch; another node had seen what its last batch said, or, where it
 * sends none to here, at most what has passed through here.
 */
export function winnerSaw(table: MeetingTable, row: string): string {
  const origin = `(${row}.version & 255)`;
  const writer = `(${row}.local_version & 255)`;
  const visible = (snapshot: string): string =>
    `pg_catalog.pg_visible_in_snapshot(${row}.xid::text::xid8, ${snapshot})`;
  const sender = `pg_catalog.current_setting('${settings.sender}')::smallint`;
  const seenHere = `case when ${origin} = ${row}.self then true when ${origin} = ${sender}
      then coalesce(${visible(`nullif(pg_catalog.current_setting('${settings.before}'), '')::pg_snapshot`)}, false)
      else ${anySaw(`pg_catalog.json_array_elements(${seenSql(table.route.target)}::json)`, `${row}.version`, `${row}.xid`)} end`;
  return `case when ${writer} = ${sender} then true
    when ${writer} <> ${row}.self and exists (select from pgrep.peer_seen p where p.peer = ${writer})
      then ${writer} = ${origin} or exists (select from pgrep.peer_seen p where p.peer = ${writer} and p.origin = ${origin} and ${visible('p.snapshot')})
    else ${seenHere} end`;
}

function anySaw(list: string, version: string, xid: string): string {
  return `exists (select from ${list} e where (e.value ->> 0)::smallint = ${version} & 255
      and pg_catalog.pg_visible_in_snapshot((${xid})::text::xid8, (e.value ->> 1)::pg_snapshot))`;
}

/** Remembers what the sender has seen. `seen`: as json text of [[origin, snapshot], …]. */
export function rememberSeenSql(sender: number, seen: string, relays: boolean): string {
  return `insert into pgrep.peer_seen as p (peer, origin, snapshot, relayed)
select ${sender}, (e.value ->> 0)::smallint, (e.value ->> 1)::pg_snapshot, ${relays} from pg_catalog.json_array_elements(${literal(seen)}::json) e
on conflict (peer, origin) do update set snapshot = excluded.snapshot, relayed = excluded.relayed
where p.snapshot::text <> excluded.snapshot::text or p.relayed <> excluded.relayed`;
}
