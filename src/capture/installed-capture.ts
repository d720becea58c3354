import type { TableName } from '../core/route.ts';
import type { CaptureDatabase } from './database.ts';

/** What the database holds of one table's capture. */
export interface InstalledCapture {
  readonly tableId: string;
  /** The name under which the table was captured. */
  readonly table: TableName;
  readonly key: readonly string[];
  /** Triggers that call this table's capture functions, on whatever relation. */
  readonly triggers: readonly InstalledTrigger[];
  /** `pg_proc.prosrc` by name with schema. */
  readonly functions: Readonly<Record<string, string>>;
  /** Declared types of the queue's key columns in order, without collation; empty without a queue. */
  readonly queueTypes: readonly string[];
  /** Relations whose rows are known to be queued or copied; `table` is null for one that was dropped. */
  readonly relations: readonly { readonly oid: string; readonly table: TableName | null }[];
}

export interface InstalledTrigger {
  readonly relationOid: string;
  readonly relation: TableName;
  readonly name: string;
  /** True: fires in every session (`enable always`). */
  readonly always: boolean;
}

/** Reads the capture of all tables, or of one by its id; none is an empty list. */
export async function readInstalledCapture(
  db: CaptureDatabase,
  tableId?: string,
): Promise<readonly InstalledCapture[]> {
  const { rows } = await db.query(installedSql, [tableId ?? null]);
  const text = rows[0]?.['installed'];
  return (typeof text === 'string' ? JSON.parse(text) : []) as readonly InstalledCapture[];
}

const tableOf = `pg_catalog.jsonb_build_object('schema', n.nspname, 'name', c.relname)`;

const installedSql = `
select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
  'tableId', t.table_id::text,
  'table', pg_catalog.jsonb_build_object('schema', t.nsp_name, 'name', t.table_name),
  'key', pg_catalog.to_jsonb(t.key_columns),
  'triggers', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'relationOid', g.tgrelid::text, 'relation', ${tableOf}, 'name', g.tgname, 'always', g.tgenabled = 'A')), '[]')
    from pg_catalog.pg_trigger g
    join pg_catalog.pg_class c on c.oid = g.tgrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where g.tgfoid in (select f.oid from functions f where f.table_id = t.table_id)
  ),
  'functions', (
    select coalesce(pg_catalog.jsonb_object_agg('pgrep.' || f.proname, f.prosrc), '{}') from functions f where f.table_id = t.table_id
  ),
  'queueTypes', (
    select coalesce(pg_catalog.jsonb_agg(
      case when n.nspname = 'pg_catalog' then pg_catalog.format_type(y.oid, -1)
        when e.oid is not null and y.typcategory = 'A'
          then pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(e.typname) || '[]'
        else pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(y.typname) end order by a.attnum), '[]')
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type y on y.oid = a.atttypid
    join pg_catalog.pg_namespace n on n.oid = y.typnamespace
    left join pg_catalog.pg_type e on e.oid = y.typelem
    where a.attrelid = pg_catalog.to_regclass('pgrep.queue_' || t.table_id) and not a.attisdropped and a.attname ~ '^k[0-9]+$'
  ),
  'relations', (
    select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', r.relation::text, 'table', case when c.oid is not null then ${tableOf} end)), '[]')
    from pgrep.captured_relation r
    left join (pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace) on c.oid = r.relation
    where r.table_id = t.table_id
  )
) order by t.table_id), '[]')::text as installed
from pgrep.captured_table t
where $1::integer is null or t.table_id = $1::integer`.replace(
  'select coalesce',
  `with functions as (
  select t.table_id, p.oid, p.proname, p.prosrc
  from pgrep.captured_table t
  join pg_catalog.pg_proc p
    on p.proname = any (array['capture_' || t.table_id, 'capture_' || t.table_id || '_old_keys', 'capture_' || t.table_id || '_truncate'])
  where p.pronamespace = pg_catalog.to_regnamespace('pgrep')
)
select coalesce`,
);
