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
    (select distinct on (s.origin) s.origin, s.snapshot from pgrep.peer_seen s join pgrep.node o on o.node_id = s.origin
    where s.relayed and not o.is_self and not exists (select from pgrep.position p where p.source = o.name and p.target = ${literal(source)} and p.snapshot is not null)
    order by s.origin, pg_catalog.pg_snapshot_xmax(s.snapshot) desc)) x)::text`;
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
