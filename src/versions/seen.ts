import type { TableName } from '../core/route.ts';
import { literal } from '../db/quote.ts';

/** How much of a node's transactions has been seen: a `pg_snapshot` of that node as text. */
export interface Seen {
  /** The node's id. */
  readonly origin: number;
  readonly snapshot: string;
  /** True: of every table. False: tables that came from that node, or by way of the one that forwards it, are still behind. */
  readonly whole: boolean;
}

/** What a node has seen of others. */
export interface SeenByTable {
  /** Of all tables but those below. */
  readonly seen: readonly Seen[];
  /** Tables that changes reach by other ways: directly, or through other nodes that forward. Of whom nothing has come there: 1:1:, nothing. */
  readonly apart: readonly TablesSeen[];
  readonly copying: readonly CopyingTable[];
}

/** What a node has seen of some of its tables. */
export interface TablesSeen {
  readonly tables: readonly TableName[];
  readonly seen: readonly Seen[];
}

/** One table that is being copied to a node. Nothing counts as seen until all rows have come, then all up to where the copy began. */
interface CopyingTable extends TablesSeen {
  /** All rows have come; what changed meanwhile may be on its way. */
  readonly complete: boolean;
}

/** As `seenSql` gives it. Place 1: of all tables but the others; null: of one that is being copied. */
interface Told extends CopyingTable {
  readonly place: number | null;
}

/**
 * SQL for what a node has seen of all others, as json text for `readSeen`: of the tables that it has two-way routes of to a peer, which is told,
 * and of those that are being copied to it (both: names).
 */
export function seenSql(node: string, peer: string): string {
  const copied = `select c.table_id from pgrep.table_position c where c.target = ${literal(node)} and c.table_id is not null`;
  return `(with told (place, table_id, tables, complete) as materialized (
    select pg_catalog.row_number() over (order by pg_catalog.count(*) desc, pg_catalog.min(t.table_id)), pg_catalog.min(t.table_id), pg_catalog.array_agg(t.table_id), true
    from (select r.table_id, pg_catalog.array_agg(r.target order by r.target) as peers, array(select w.peer || ' ' || w.way from pgrep.peer_way w where w.table_id = r.table_id order by 1) as ways
      from pgrep.route r where r.options @> '{"twoWay": true}' and r.table_id not in (${copied})
      group by r.table_id having pg_catalog.bool_or(r.target = ${literal(peer)})) t
    group by t.peers, t.ways
    union all
    select distinct null::bigint, c.table_id, array[c.table_id], not ${incompleteSql(node, 'c.table_id')} from (${copied}) c)
  select pg_catalog.json_agg(pg_catalog.json_build_object('place', k.place, 'complete', k.complete,
    'tables', (select pg_catalog.json_agg(pg_catalog.json_build_object('schema', t.nsp_name, 'name', t.table_name)) from pgrep.captured_table t where t.table_id = any (k.tables) and k.place is distinct from 1),
    'seen', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('origin', n.node_id, 'snapshot', coalesce(s.snapshot, '1:1:')::text, 'whole', coalesce(s.whole, true))), '[]')
      from pgrep.node n left join (${seenOfSql(node, 'k.table_id')}) s on s.origin = n.node_id where s.origin is not null or (k.place > 1 and not n.is_self)))) from told k)::text`;
}

/**
 * Query for what a node (its name) has seen of all others of one of its tables (SQL of its id): `origin`, `snapshot`, `whole` (see `Seen`).
 * Of those that it exchanges the table with, how far their links have come; what others change comes by way of one of these that forwards.
 */
export function seenOfSql(node: string, tableId: string): string {
  const copy = (name: string): string => `from pgrep.table_position c where c.source = ${name} and c.target = ${literal(node)} and c.table_id = ${tableId}`; // prettier-ignore
  const copying = incompleteSql(node, tableId);
  const whole = (name: string): string => `not exists (select from pgrep.table_position c where c.source = ${name} and c.target = ${literal(node)} and c.table_id is not null)`; // prettier-ignore
  const isPeer = (name: string): string => `exists (select from pgrep.route r where r.target = ${name} and r.options @> '{"twoWay": true}' and r.table_id = ${tableId})`; // prettier-ignore
  return `select n.node_id as origin, coalesce((select c.snapshot ${copy('p.source')}), p.snapshot) as snapshot, ${whole('p.source')} as whole
    from pgrep.position p join pgrep.node n on n.name = p.source where p.target = ${literal(node)} and p.snapshot is not null and ${isPeer('p.source')} and not ${copying}
    union all
    (select distinct on (s.origin) s.origin, s.passed, ${whole('h.name')} from pgrep.node h join pgrep.peer_seen s on s.peer = h.node_id join pgrep.node o on o.node_id = s.origin
    where s.passed is not null and not o.is_self and not ${copying} and ${isPeer('h.name')} and not exists (select ${copy('h.name')}) and not ${isPeer('o.name')} and ${tellsOfSql('s', tableId)}
    order by s.origin, pg_catalog.pg_snapshot_xmax(s.passed) desc)`;
}

/** SQL condition: a row of `pgrep.peer_seen` (`seen`) is of those that tell of a table (SQL of its id). */
export function tellsOfSql(seen: string, tableId: string): string {
  return `${seen}.way = coalesce((select w.way from pgrep.peer_way w where w.peer = ${seen}.peer and w.table_id = ${tableId}), 0)`;
}

function incompleteSql(source: string, tableId: string): string {
  return `exists (select from pgrep.table_position c where c.target = ${literal(source)} and c.table_id = ${tableId} and not c.copied)`;
}

/** SQL condition: a table of this node (SQL of its id) is still being copied, to here or to one of its peers. */
export function copyingSql(tableId: string): string {
  return `(exists (select from pgrep.table_position c where c.table_id = ${tableId}) or exists (select from pgrep.peer_copying c where c.table_id = ${tableId}))`;
}

/** Reads what `seenSql` gave; null: nothing. */
export function readSeen(text: unknown): SeenByTable {
  const told = typeof text === 'string' ? (JSON.parse(text) as readonly Told[]) : [];
  return {
    seen: told.find(({ place }) => place === 1)?.seen ?? [],
    apart: told.filter(({ place }) => place !== null && place > 1),
    copying: told.filter(({ place }) => place === null),
  };
}

/** SQL for the number of batches that have arrived at a node (its name) with rows, or with the end of a copy. */
export function arrivedSql(source: string): string {
  return `(select coalesce(pg_catalog.sum(p.changes), 0) from pgrep.position p where p.target = ${literal(source)})`;
}
