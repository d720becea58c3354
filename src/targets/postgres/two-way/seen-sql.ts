import { literal } from '../../../db/quote.ts';
import { crashedSql } from '../../../db/server-life.ts';
import { copyingFromSql, seenSql } from '../../../versions/seen.ts';
import type { Exchange } from '../../target.ts';
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

/**
 * Keeps what the sender told. What it passes on counts as seen here, too, but only after a batch with all that it had, of every
 * table: not while tables of it are being copied.
 */
export function rememberSeenSql(sender: number, seen: string, passes: Exchange['passes']): string {
  const passed = { all: `case when ${copyingFromSql(`${sender}`)} then p.passed else excluded.passed end`, part: 'p.passed', nothing: 'null' }[passes]; // prettier-ignore
  return `insert into pgrep.peer_seen as p (peer, origin, snapshot, passed)
select ${sender}, t.origin, t.snapshot, ${passes === 'all' ? `case when not ${copyingFromSql(`${sender}`)} then t.snapshot end` : 'null'}
from (select (e.value ->> 0)::smallint as origin, (e.value ->> 1)::pg_snapshot as snapshot from pg_catalog.json_array_elements(${literal(seen)}::json) e) t
on conflict (peer, origin) do update set snapshot = excluded.snapshot, passed = ${passed}
where p.snapshot::text <> excluded.snapshot::text or p.passed::text is distinct from (${passed})::text`;
}
