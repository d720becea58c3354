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
  readonly copying: readonly CopyingTable[];
}

/** A table of a node that is being copied to it, with what it has seen of that. */
export interface CopyingTable {
  readonly schema: string;
  readonly name: string;
  /** All rows have come; what changed meanwhile may be on its way. */
  readonly complete: boolean;
  readonly seen: readonly Seen[];
}

/**
 * SQL for what the source node (its name) has seen of all others, as a json text [[origin, snapshot, whole, schema, table], …]; schema and
 * table are null but for tables that are being copied to it. Of these nothing counts as seen until the copy is complete, then all up to
 * where it began; each has an entry of origin 0, which is no node: 1:1: until the copy is complete, then 2:2:. What a forwarding peer has seen of others has come along.
 */
export function seenSql(source: string): string {
  return `(select pg_catalog.json_agg(pg_catalog.json_build_array(x.origin, x.snapshot::text, x.whole, x.nsp_name, x.table_name)) from (
    select s.origin, s.snapshot, s.whole, null::text as nsp_name, null::text as table_name from (${seenOfSql(source, 'null')}) s
    union all
    select s.origin, s.snapshot, s.whole, t.nsp_name, t.table_name from pgrep.captured_table t
    cross join lateral (select 0 as origin, case when ${incompleteSql(source, 't.table_id')} then '1:1:'::pg_snapshot else '2:2:' end as snapshot, false as whole union all ${seenOfSql(source, 't.table_id')}) s
    where t.table_id in (select c.table_id from pgrep.table_position c where c.target = ${literal(source)})) x)::text`;
}

/**
 * Query for what the source node (its name) has seen of all others of one of its tables (SQL of its id; `null`: of those that are not being copied): `origin`,
 * `snapshot`, `whole` (see `Seen`). A link's position counts for tables that have two-way routes to its source, others' changes come by way
 * of a node that forwards; where a node has tables of both kinds with another one, of all only what has come both ways.
 */
export function seenOfSql(source: string, tableId: string): string {
  const copy = (name: string): string => `from pgrep.table_position c where c.source = ${name} and c.target = ${literal(source)} and c.table_id = ${tableId}`; // prettier-ignore
  const copying = incompleteSql(source, tableId);
  const whole = (name: string): string => `not exists (select from pgrep.table_position c where c.source = ${name} and c.target = ${literal(source)} and c.table_id is not null)`; // prettier-ignore
  const isPeer = (name: string): string => `exists (select from pgrep.route r where ${twoWayTo('r', name)} and r.table_id = coalesce(${tableId}, r.table_id))`; // prettier-ignore
  return `select n.node_id as origin, coalesce((select c.snapshot ${copy('p.source')}), ${tableId === 'null' ? bothWaysSql : 'p.snapshot'}) as snapshot, ${whole('p.source')} as whole
    from pgrep.position p join pgrep.node n on n.name = p.source where p.target = ${literal(source)} and p.snapshot is not null and ${isPeer('p.source')} and not ${copying}
    union all
    (select distinct on (s.origin) s.origin, s.passed, ${whole('(select h.name from pgrep.node h where h.node_id = s.peer)')} from pgrep.peer_seen s join pgrep.node o on o.node_id = s.origin
    where s.passed is not null and not o.is_self and not ${copying}
      and not exists (select from pgrep.node h where h.node_id = s.peer and exists (select ${copy('h.name')}))
      and not ${isPeer('o.name')}
    order by s.origin, pg_catalog.pg_snapshot_xmax(s.passed) desc)`;
}

function twoWayTo(route: string, name: string): string {
  return `${route}.target = ${name} and ${route}.options @> '{"twoWay": true}'`;
}

// The position (p) of a link from node n, but no more than what was passed on of that node by peers of tables that the link does not have.
const bothWaysSql = `(select pgrep.with_open(case when pg_catalog.pg_snapshot_xmax(p.snapshot) <= pg_catalog.pg_snapshot_xmax(s.passed) then p.snapshot else s.passed end,
        array(select pg_catalog.pg_snapshot_xip(p.snapshot) union all select pg_catalog.pg_snapshot_xip(s.passed)))
      from pgrep.peer_seen s join pgrep.node h on h.node_id = s.peer where s.origin = n.node_id and s.passed is not null
        and exists (select from pgrep.route r where ${twoWayTo('r', 'h.name')} and not exists (select from pgrep.route d where d.table_id = r.table_id and ${twoWayTo('d', 'p.source')}))
      order by pg_catalog.pg_snapshot_xmax(s.passed) limit 1), p.snapshot`;

function incompleteSql(source: string, tableId: string): string {
  return `exists (select from pgrep.table_position c where c.target = ${literal(source)} and c.table_id = ${tableId} and not c.copied)`;
}

/** SQL condition: a table of this node (SQL of its id) is still being copied, to here or to one of its peers. */
export function copyingSql(tableId: string): string {
  return `(exists (select from pgrep.table_position c where c.table_id = ${tableId}) or exists (select from pgrep.peer_copying c where c.table_id = ${tableId}))`;
}

/** Reads what `seenSql` gave; null: nothing. */
export function readSeen(text: unknown): SeenByTable {
  const seen: Seen[] = [];
  const copying = new Map<string, CopyingTable & { complete: boolean; readonly seen: Seen[] }>();
  const found = typeof text === 'string' ? (JSON.parse(text) as readonly (readonly [number, string, boolean, string | null, string | null])[]) : []; // prettier-ignore
  for (const [origin, snapshot, whole, schema, name] of found) {
    if (schema === null || name === null) {
      seen.push({ origin, snapshot, whole });
      continue;
    }
    const id = JSON.stringify([schema, name]);
    const table = copying.get(id) ?? { schema, name, complete: false, seen: [] };
    if (origin === 0) table.complete = snapshot !== '1:1:';
    else table.seen.push({ origin, snapshot, whole });
    copying.set(id, table);
  }
  return { seen, copying: [...copying.values()] };
}

/** SQL for the number of batches that have arrived at a node (its name) with rows, or with the end of a copy. */
export function arrivedSql(source: string): string {
  return `(select coalesce(pg_catalog.sum(p.changes), 0) from pgrep.position p where p.target = ${literal(source)})`;
}
