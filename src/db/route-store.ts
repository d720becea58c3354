import { PgrepError } from '../core/error.ts';
import type { ConflictPolicy, Link, Route, RouteState, TwoWay } from '../core/route.ts';
import { withBaseOfDomain } from './base-type-sql.ts';
import type { Row, Session } from './session.ts';

/** Which routes to load; a missing member means any. */
export interface RouteFilter {
  readonly target?: string;
  readonly schema?: string;
  readonly name?: string;
}

/**
 * Loads routes that start at the session's database, with column types as they are now; parents of foreign keys come before
 * their children. `source` is that node's name in the configuration.
 */
export async function loadRoutes(
  session: Session,
  source: string,
  filter: RouteFilter = {},
): Promise<readonly Route[]> {
  const { rows } = await session.query(routeQuery, [filter.target ?? null, filter.schema ?? null, filter.name ?? null]);
  return rows.map((row) => readRoute(source, row));
}

/** The links of a source, by target. */
export async function loadLinks(session: Session, source: string): Promise<readonly Link[]> {
  const { rows } = await session.query('select distinct r.target from pgrep.route r order by r.target');
  return rows.map((row) => ({ source, target: String(row['target']) }));
}

// The column list is joined with pg_attribute so that an altered type is seen; a dropped column shows as a null type.
// With -1 the type is one of any length: `bpchar`, where null gives
// `character`, which is `character(1)` in a cast and cuts values off.
const routeQuery = `${withBaseOfDomain}
select r.route_id, r.table_id, r.target, r.target_nsp, r.target_table, r.filter, r.state, r.sweep, r.options::text as options,
  c.nsp_name, c.table_name, pg_catalog.to_json(c.key_columns)::text as key_columns,
  (select pg_catalog.json_agg(pg_catalog.json_build_object(
      'source', j.value ->> 'source', 'target', j.value ->> 'target',
      'type', pg_catalog.format_type(b.base, -1), 'typeOid', b.base::text) order by j.ordinality)
   from pg_catalog.jsonb_array_elements(r.columns) with ordinality j
   left join pg_catalog.pg_attribute a
     on a.attrelid = c.relation and a.attname = j.value ->> 'source' and not a.attisdropped
   left join base_of_domain d on d.oid = a.atttypid
   cross join lateral (select coalesce(d.base, a.atttypid) as base) b)::text as columns,
  (select a.atttypid <> q.atttypid from pg_catalog.pg_attribute a, pg_catalog.pg_attribute q
   where a.attrelid = c.relation and a.attname = c.key_columns[1]
     and q.attrelid = pg_catalog.to_regclass('pgrep.queue_' || r.table_id) and q.attname = 'k1') as packed,
  c.relation is not null as there
from pgrep.route r
join (select t.table_id, t.nsp_name, t.table_name, t.key_columns, k.oid as relation
      from pgrep.captured_table t
      left join (pg_catalog.pg_class k join pg_catalog.pg_namespace n on n.oid = k.relnamespace)
        on n.nspname = t.nsp_name and k.relname = t.table_name) c on c.table_id = r.table_id
where ($1::text is null or r.target = $1) and ($2::text is null or c.nsp_name = $2) and ($3::text is null or c.table_name = $3)
order by r.route_id`;

interface StoredColumn {
  readonly source: string;
  readonly target: string;
  readonly type: string | null;
  readonly typeOid: string | null;
}

function readRoute(source: string, row: Row): Route {
  const sourceTable = { schema: String(row['nsp_name']), name: String(row['table_name']) };
  const stored = JSON.parse(String(row['columns'])) as readonly StoredColumn[];
  const columns = stored.map(({ source: name, target, type, typeOid }) => {
    if (type === null || typeOid === null) throw missingColumn(sourceTable.schema, sourceTable.name, name);
    return { source: name, target, type, typeOid };
  });
  return {
    id: String(row['route_id']),
    tableId: String(row['table_id']),
    source,
    target: String(row['target']),
    sourceTable,
    targetTable: { schema: String(row['target_nsp']), name: String(row['target_table']) },
    key: JSON.parse(String(row['key_columns'])) as readonly string[],
    columns,
    filter: typeof row['filter'] === 'string' ? row['filter'] : null,
    state: row['state'] as RouteState,
    sweep: row['sweep'] === 't',
    packed: row['packed'] === 't',
    twoWay: readTwoWay(String(row['options'])),
  };
}

interface StoredOptions {
  readonly twoWay?: boolean;
  readonly policy?: ConflictPolicy;
  readonly function?: string;
  readonly forward?: boolean;
}

function readTwoWay(options: string): TwoWay | null {
  const stored = JSON.parse(options) as StoredOptions;
  if (stored.twoWay !== true) return null;
  return {
    policy: stored.policy ?? 'last-write-wins',
    function: stored.function ?? null,
    forward: stored.forward === true,
  };
}

function missingColumn(schema: string, name: string, column: string): PgrepError {
  return new PgrepError(
    'table',
    `Table ${schema}.${name} no longer has the column ${column} that a route replicates.`,
    {
      hint: `Bring the column back, or change the route: pgrep add-table ${schema}.${name} --to … --columns … without it; or pgrep remove-table ${schema}.${name}.`,
    },
  );
}
