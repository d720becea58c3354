import type { PositionStore } from '../copy/table-position.ts';

/** Where a link stands, read without its target. */
export interface StoredPosition {
  readonly snapshot: string | null;
  /** Snapshots of tables that stand elsewhere, by route id. */
  readonly tables: ReadonlyMap<string, string>;
  /** ISO 8601, UTC. */
  readonly appliedAt: string | null;
}

/** Reads a link's position; one that was never begun has seen nothing. */
export async function readPosition({ session, link }: PositionStore): Promise<StoredPosition> {
  const { rows } = await session.query(
    `select p.snapshot::text as snapshot, pg_catalog.to_char(p.applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as applied_at,
       (select pg_catalog.json_object_agg(t.route_id, t.snapshot::text) from pgrep.table_position t
        where t.source = $1 and t.target = $2)::text as tables
     from (values (1)) one (row) left join pgrep.position p on p.source = $1 and p.target = $2`,
    [link.source, link.target],
  );
  const row = rows[0] ?? {};
  const tables =
    typeof row['tables'] === 'string' ? (JSON.parse(row['tables']) as Readonly<Record<string, string>>) : {};
  return {
    snapshot: text(row['snapshot']),
    tables: new Map(Object.entries(tables)),
    appliedAt: text(row['applied_at']),
  };
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
