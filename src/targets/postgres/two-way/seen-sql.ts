import { literal } from '../../../db/quote.ts';
import { crashedSql } from '../../../db/server-life.ts';
import { seenOfSql, type Seen } from '../../../versions/seen.ts';
import type { Exchange } from '../../target.ts';
import { beforeSetting, seenSetting, settings } from './judge-sql.ts';
import type { MeetingTable } from './meeting.ts';

/**
 * SQL condition: the sender of the batch had seen the local version of `row`, or had written it. What it says of this node counts
 * only once it has had a batch from here since the server's last crash, which gives ids of transactions out again.
 */
export function senderSaw(table: MeetingTable, row: string): string {
  const seen = `pg_catalog.json_array_elements(pg_catalog.current_setting('${seenSetting(table)}')::json)`;
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
      then coalesce(${visible(`nullif(pg_catalog.current_setting('${beforeSetting(table)}'), '')::pg_snapshot`)}, false)
      else exists (select from (${seenOfSql(table.route.target, table.versioned.tableId)}) e where e.origin = ${origin} and ${visible('e.snapshot')}) end`;
  return `case when ${writer} = ${sender} then true
    when ${writer} <> ${row}.self and exists (select from pgrep.peer_seen p where p.peer = ${writer})
      then ${writer} = ${origin} or exists (select from pgrep.peer_seen p where p.peer = ${writer} and p.origin = ${origin} and ${visible('p.snapshot')})
        and not exists (select from pgrep.peer_copying c where c.peer = ${writer} and c.table_id = ${table.versioned.tableId})
    else ${seenHere} end`;
}

function anySaw(list: string, version: string, xid: string): string {
  return `exists (select from ${list} e where (e.value ->> 0)::smallint = ${version} & 255
      and pg_catalog.pg_visible_in_snapshot((${xid})::text::xid8, (e.value ->> 1)::pg_snapshot))`;
}

/**
 * Keeps what the sender told: what it has seen, how much of that it has passed on to here, and which tables are still being copied to it. Of a node
 * that it has not every table of yet it has passed nothing on: of a table that is behind, less would be here than that says. What is not complete
 * tells only of copies that have begun.
 */
export function rememberSeenSql({ sender, seen, passes, complete }: Exchange): readonly string[] {
  const names = seen.copying.map(({ schema, name }) => `(${literal(schema)}, ${literal(name)})`).join(', ');
  const copying = `select r.table_id from pgrep.route r join pgrep.node n on n.name = r.target where n.node_id = ${sender}
  and r.options @> '{"twoWay": true}' and (r.target_nsp, r.target_table) in (${names})`;
  const begun = names === '' ? [] : [`insert into pgrep.peer_copying (peer, table_id) select ${sender}, c.table_id from (${copying}) c on conflict do nothing`]; // prettier-ignore
  if (!complete) {
    const forgets = passes === 'nothing' ? [`update pgrep.peer_seen p set passed = null where p.peer = ${sender} and p.passed is not null`] : []; // prettier-ignore
    return [...forgets, ...begun];
  }
  const ended = names === '' ? '' : ` and c.table_id not in (${copying})`;
  return [
    ...toldSql(sender, seen.seen.filter(({ whole }) => whole), passes),
    ...toldSql(sender, seen.seen.filter(({ whole }) => !whole), 'nothing'),
    `delete from pgrep.peer_copying c where c.peer = ${sender}${ended}`,
    ...begun,
  ]; // prettier-ignore
}

function toldSql(sender: number, seen: readonly Seen[], passes: Exchange['passes']): readonly string[] {
  if (seen.length === 0) return [];
  const passed = { all: 'excluded.snapshot', part: 'p.passed', nothing: 'null' }[passes];
  return [
    `insert into pgrep.peer_seen as p (peer, origin, snapshot, passed)
select ${sender}, t.origin, t.snapshot, ${passes === 'all' ? 't.snapshot' : 'null'}
from (select (e.value ->> 0)::smallint as origin, (e.value ->> 1)::pg_snapshot as snapshot from pg_catalog.json_array_elements(${literal(seenJson(seen))}::json) e) t
on conflict (peer, origin) do update set snapshot = excluded.snapshot, passed = ${passed}
where p.snapshot::text <> excluded.snapshot::text or p.passed::text is distinct from (${passed})::text`,
  ];
}

/** [[origin, snapshot], …] as text. */
export function seenJson(seen: readonly Seen[]): string {
  return JSON.stringify(seen.map(({ origin, snapshot }) => [origin, snapshot]));
}
