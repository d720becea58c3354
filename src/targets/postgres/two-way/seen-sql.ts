import type { TableName } from '../../../core/route.ts';
import { literal } from '../../../db/quote.ts';
import { crashedSql } from '../../../db/server-life.ts';
import { seenOfSql, tellsOfSql, type Seen } from '../../../versions/seen.ts';
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
  const { tableId } = table.versioned;
  const told = `pgrep.peer_seen p where p.peer = ${writer} and ${tellsOfSql('p', tableId)}`;
  const isPeer = `exists (select from pgrep.route o join pgrep.node w on w.name = o.target where o.table_id = ${tableId} and o.options @> '{"twoWay": true}' and w.node_id = ${writer})`; // prettier-ignore
  return `case when ${writer} = ${sender} then true
    when ${writer} <> ${row}.self and ${isPeer} and exists (select from ${told})
      then ${writer} = ${origin} or exists (select from ${told} and p.origin = ${origin} and ${visible('p.snapshot')})
        and not exists (select from pgrep.peer_copying c where c.peer = ${writer} and c.table_id = ${tableId})
    else ${seenHere} end`;
}

function anySaw(list: string, version: string, xid: string): string {
  return `exists (select from ${list} e where (e.value ->> 0)::smallint = ${version} & 255
      and pg_catalog.pg_visible_in_snapshot((${xid})::text::xid8, (e.value ->> 1)::pg_snapshot))`;
}

/**
 * Keeps what the sender told: what it has seen, how much of that it has passed on to here, and which tables are still being copied to it. Of a node
 * that it has not every table of yet it has passed nothing on: of a table that is behind, less would be here than that says. What is not complete
 * tells only of copies that have begun. What is not told any more counts no more, but of nodes that are lost.
 */
export function rememberSeenSql({ sender, seen, passes, complete }: Exchange): readonly string[] {
  const copied = seen.copying.flatMap(({ tables }) => tables);
  const begun = copied.length === 0 ? [] : [`insert into pgrep.peer_copying (peer, table_id) select ${sender}, c.table_id from (${tablesHereSql(sender, copied)}) c on conflict do nothing`]; // prettier-ignore
  if (!complete) {
    const forgets = passes === 'nothing' ? [`update pgrep.peer_seen p set passed = null where p.peer = ${sender} and p.passed is not null`] : []; // prettier-ignore
    return [...forgets, ...begun];
  }
  const ended = (list: readonly TableName[]): string => (list.length === 0 ? '' : ` and c.table_id not in (${tablesHereSql(sender, list)})`); // prettier-ignore
  const ways = seen.apart.map(({ tables, seen: told }) => ({ here: tablesHereSql(sender, tables), told }));
  const origins = seen.seen.map(({ origin }) => origin).join(',');
  return [
    `delete from pgrep.peer_way c where c.peer = ${sender}${ended(seen.apart.flatMap(({ tables }) => tables))}`,
    ...ways.map(({ here }) => `insert into pgrep.peer_way as p (peer, table_id, way) select ${sender}, t.table_id, pg_catalog.min(t.table_id) over () from (${here}) t on conflict (peer, table_id) do update set way = excluded.way where p.way <> excluded.way`), // prettier-ignore
    ...toldSql({ sender, way: '0', seen: seen.seen, passes }),
    ...ways.flatMap(({ here, told }) => toldSql({ sender, way: `(select pg_catalog.min(h.table_id) from (${here}) h)`, seen: told, passes })), // prettier-ignore
    `delete from pgrep.peer_seen p where p.peer = ${sender} and case p.way when 0
  then p.origin <> all ('{${origins}}') and not exists (select from pgrep.node n where n.node_id = p.origin and n.forgotten)
  else p.way not in (select w.way from pgrep.peer_way w where w.peer = ${sender}) end`,
    `delete from pgrep.peer_copying c where c.peer = ${sender}${ended(copied)}`,
    ...begun,
  ];
}

// Ids of tables of this node that have two-way routes to the sender's `tables`.
function tablesHereSql(sender: number, tables: readonly TableName[]): string {
  const names = tables.map(({ schema, name }) => `(${literal(schema)}, ${literal(name)})`).join(', ');
  return `select r.table_id from pgrep.route r join pgrep.node n on n.name = r.target where n.node_id = ${sender}
  and r.options @> '{"twoWay": true}' and (r.target_nsp, r.target_table) in (${names})`;
}
interface Told {
  readonly sender: number;
  /** SQL of the number of the way that the tables have; null: none of them is here. */
  readonly way: string;
  readonly seen: readonly Seen[];
  readonly passes: Exchange['passes'];
}

function toldSql({ seen, passes, ...told }: Told): readonly string[] {
  const part = (whole: boolean): readonly Seen[] => seen.filter((each) => each.whole === whole);
  return [
    ...rowsSql({ ...told, seen: part(true), passes }),
    ...rowsSql({ ...told, seen: part(false), passes: 'nothing' }),
  ];
}

function rowsSql({ sender, way, seen, passes }: Told): readonly string[] {
  if (seen.length === 0) return [];
  const passed = { all: 'excluded.snapshot', part: 'p.passed', nothing: 'null' }[passes];
  return [
    `insert into pgrep.peer_seen as p (peer, origin, way, snapshot, passed)
select ${sender}, t.origin, t.way, t.snapshot, ${passes === 'all' ? 't.snapshot' : 'null'}
from (select (e.value ->> 0)::smallint as origin, ${way} as way, (e.value ->> 1)::pg_snapshot as snapshot from pg_catalog.json_array_elements(${literal(seenJson(seen))}::json) e) t
where t.way is not null
on conflict (peer, origin, way) do update set snapshot = excluded.snapshot, passed = ${passed}
where p.snapshot::text <> excluded.snapshot::text or p.passed::text is distinct from (${passed})::text`,
  ];
}

/** [[origin, snapshot], …] as text. */
export function seenJson(seen: readonly Seen[]): string {
  return JSON.stringify(seen.map(({ origin, snapshot }) => [origin, snapshot]));
}
