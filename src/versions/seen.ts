import { literal } from '../db/quote.ts';

/** How much of a node's transactions has been seen: a `pg_snapshot` of that node as text. */
export interface Seen {
  /** The node's id. */
  readonly origin: number;
  readonly snapshot: string;
}

/**
 * SQL for what the source node (its name) has seen of all others, as a json text [[origin, snapshot], …]. A table that is just being
 * copied to it counts as seen up to where its copy began. What a forwarding peer has seen of others has come along.
 */
export function seenSql(source: string): string {
  return `(select pg_catalog.json_agg(pg_catalog.json_build_array(x.origin, x.snapshot::text)) from (
    select n.node_id as origin, coalesce((select t.snapshot from pgrep.table_position t where t.source = p.source and t.target = p.target
      order by pg_catalog.pg_snapshot_xmax(t.snapshot) limit 1), p.snapshot) as snapshot
    from pgrep.position p join pgrep.node n on n.name = p.source where p.target = ${literal(source)} and p.snapshot is not null
    union all
    (select distinct on (s.origin) s.origin, s.passed from pgrep.peer_seen s join pgrep.node o on o.node_id = s.origin
    where s.passed is not null and not o.is_self and not ${copyingFromSql('s.peer')} and not exists (select from pgrep.position p where p.source = o.name and p.target = ${literal(source)} and p.snapshot is not null)
    order by s.origin, pg_catalog.pg_snapshot_xmax(s.passed) desc)) x)::text`;
}

/** SQL condition: tables of a peer (SQL of its node id) are being copied to here. */
export function copyingFromSql(peer: string): string {
  return `exists (select from pgrep.table_position c join pgrep.node h on h.name = c.target and h.is_self join pgrep.node f on f.name = c.source where f.node_id = ${peer})`;
}

/** Reads what `seenSql` gave; null: nothing. */
export function readSeen(text: unknown): readonly Seen[] {
  if (typeof text !== 'string') return [];
  return (JSON.parse(text) as readonly (readonly [number, string])[]).map(([origin, snapshot]) => ({ origin, snapshot })); // prettier-ignore
}

/** SQL for the number of batches with rows that have arrived at a node (its name). */
export function arrivedSql(source: string): string {
  return `(select coalesce(pg_catalog.sum(p.changes), 0) from pgrep.position p where p.target = ${literal(source)})`;
}
