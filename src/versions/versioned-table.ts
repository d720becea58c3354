import { PgrepError } from '../core/error.ts';
import type { TableName } from '../core/route.ts';
import { literal } from '../db/quote.ts';

/** A captured table whose rows have versions, as SQL has to name it. */
export interface VersionedTable {
  /** `pgrep.captured_table.table_id`, an int as text. */
  readonly tableId: string;
  readonly table: TableName;
  readonly key: readonly VersionedKey[];
  /** True: the queue holds arrays of keys. */
  readonly packed: boolean;
}

export interface VersionedKey {
  /** The column's name in the table. */
  readonly column: string;
  /** Its name in the queue and in the sidecar: `k1`, `k2`, … in key order. */
  readonly name: string;
  /** Its scalar type in queue and sidecar, as SQL, with the collation where it has one. */
  readonly type: string;
}

/** `pgrep.row_version_7`: the sidecar of captured table 7. */
export function sidecarName(tableId: string): string {
  return `pgrep.row_version_${tableId}`;
}

/** Statement (one row, one json text column `versioned`) that describes a captured table; no row: the table is not captured. */
export function describeVersionedSql(of: { readonly tableId: string } | TableName): string {
  const which =
    'tableId' in of
      ? `t.table_id = ${of.tableId}`
      : `t.nsp_name = ${literal(of.schema)} and t.table_name = ${literal(of.name)}`;
  return `select pg_catalog.json_build_object('tableId', t.table_id::text, 'table', pg_catalog.json_build_object('schema', t.nsp_name, 'name', t.table_name),
  'packed', pg_catalog.bool_or(k.packed), 'key', pg_catalog.json_agg(pg_catalog.json_build_object('column', k.column_name, 'name', k.name,
    'type', case when k.packed then pg_catalog.format_type(k.element, null) else pg_catalog.format_type(k.stored, k.typmod) end || k.collation) order by k.place))::text as versioned
from pgrep.captured_table t
cross join lateral (
  select c.place, c.column_name, 'k' || c.place as name, q.atttypid as stored, q.atttypmod as typmod, y.typelem as element,
    -- packed: arrays of what the column is made of
    a.atttypid <> q.atttypid as packed,
    coalesce((select ' collate ' || pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(l.collname)
      from pg_catalog.pg_collation l join pg_catalog.pg_namespace cn on cn.oid = l.collnamespace
      where l.oid = q.attcollation and l.oid <> 100), '') as collation
  from pg_catalog.unnest(t.key_columns) with ordinality c (column_name, place)
  join pg_catalog.pg_namespace n on n.nspname = t.nsp_name
  join pg_catalog.pg_class r on r.relnamespace = n.oid and r.relname = t.table_name
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attname = c.column_name
  join pg_catalog.pg_attribute q on q.attrelid = pg_catalog.to_regclass('pgrep.queue_' || t.table_id) and q.attname = 'k' || c.place
  join pg_catalog.pg_type y on y.oid = q.atttypid) k
where ${which} group by t.table_id`;
}

/** Reads what `describeVersionedSql` gave. Throws `table` when the table is not captured. */
export function readVersioned(text: unknown, table: string): VersionedTable {
  if (typeof text === 'string') return JSON.parse(text) as VersionedTable;
  throw new PgrepError('table', `Table ${table} is not captured here, so its rows have no versions.`, {
    hint: 'Repeat pgrep add-table with --two-way.',
  });
}
