import { PgrepError } from '../../core/error.ts';
import { showTable, type Route, type RouteColumn } from '../../core/route.ts';
import { withBaseOfDomain } from '../../db/base-type-sql.ts';
import { ident, literal } from '../../db/quote.ts';
import { describeVersionedSql, readVersioned, type VersionedTable } from '../../versions/versioned-table.ts';
import type { TargetConnection } from './connection.ts';

/** One replicated column at its target, with the types that the stage and the comparison need. */
export interface TargetColumn extends RouteColumn {
  /** Column of the stage table: c1, c2, … by position in the route. */
  readonly stage: string;
  readonly isKey: boolean;
  /** The target column's base type as SQL, without length or precision. */
  readonly targetType: string;
  /** True: the value travels as itself; false: as text, and is cast at the target (enums, composites, other types). */
  readonly sameType: boolean;
  /** True for `generated always as identity`: may be inserted, not updated. */
  readonly identity: boolean;
  readonly notNull: boolean;
}

/** What a route meets at its target table. */
export interface TargetTable {
  readonly route: Route;
  readonly oid: string;
  readonly columns: readonly TargetColumn[];
  /** Column lists of unique indexes other than the key's; only whole, plain, immediate ones. */
  readonly otherUniqueKeys: readonly (readonly string[])[];
  /** True when a unique index besides the key's exists, of whatever kind. */
  readonly hasOtherUnique: boolean;
  /** Target tables that this one references, by oid. */
  readonly references: readonly string[];
  /** True when deleting a row would change or delete rows that reference it. */
  readonly deleteCascades: boolean;
  /** All columns of the table, in its order. */
  readonly rowColumns: readonly string[];
  /** The table as it is captured here, for two-way routes; null for one-way ones. */
  readonly versioned: VersionedTable | null;
}

interface CatalogTable {
  readonly oid: string;
  readonly kind: string;
  readonly columns: readonly CatalogColumn[] | null;
  readonly uniques: readonly CatalogUnique[] | null;
  readonly references: readonly string[] | null;
  readonly deleteCascades: boolean;
}

interface CatalogUnique {
  /** Null where the index has an expression. */
  readonly columns: readonly (string | null)[];
  readonly whole: boolean;
  readonly immediate: boolean;
}

interface CatalogColumn {
  readonly name: string;
  readonly base: string;
  readonly type: string;
  readonly generated: boolean;
  readonly identity: string;
  readonly notNull: boolean;
  readonly binary: boolean;
}

/** Reads the target table of a route and checks that the route fits. Throws `target`, naming what does not fit and what to type. */
export async function readTargetTable(connection: TargetConnection, route: Route): Promise<TargetTable> {
  const rows = await connection.script(catalogSql(route));
  const text = rows[0]?.['described'];
  if (typeof text !== 'string') throw missing(route);
  const catalog = JSON.parse(text) as CatalogTable;
  if (catalog.kind !== 'r' && catalog.kind !== 'p') throw unfit(route, 'it is not a table');
  const columns = route.columns.map((column, index) => fitColumn(route, column, index, catalog));
  const uniques = catalog.uniques ?? [];
  const key = columns.filter((column) => column.isKey).map((column) => column.target);
  const others = uniques.filter((unique) => !(unique.whole && sameSet(unique.columns, key)));
  if (others.length === uniques.length) throw noKey(route, key);
  return {
    route,
    oid: catalog.oid,
    columns,
    otherUniqueKeys: others.flatMap((unique) =>
      unique.whole && unique.immediate ? [unique.columns.filter((name) => name !== null)] : [],
    ),
    hasOtherUnique: others.length > 0,
    references: catalog.references ?? [],
    deleteCascades: catalog.deleteCascades,
    rowColumns: (catalog.columns ?? []).map(({ name }) => name),
    versioned: route.twoWay === null ? null : await readVersionedTarget(connection, route),
  };
}

async function readVersionedTarget(connection: TargetConnection, route: Route): Promise<VersionedTable> {
  const rows = await connection.script(describeVersionedSql(route.targetTable));
  return readVersioned(rows[0]?.['versioned'], `${showTable(route.targetTable)} of node ${route.target}`);
}

// Types whose binary form means something only in its own database (names by oid), or that have none; the binary form of xml drops
// the encoding that its declaration names.
const textOnlyTypes =
  'regclass,regproc,regprocedure,regoper,regoperator,regtype,regrole,regnamespace,regconfig,regdictionary,regcollation,aclitem,money,xml';

function catalogSql(route: Route): string {
  return `${withBaseOfDomain}
select pg_catalog.json_build_object(
  'oid', c.oid::text, 'kind', c.relkind,
  'columns', (select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'base', b.base::text,
      'type', pg_catalog.format_type(b.base, -1), 'generated', a.attgenerated <> '', 'identity', a.attidentity, 'notNull', a.attnotnull,
      'binary', y.typsend <> 0 and not coalesce(e.typname, y.typname) = any (${literal(`{${textOnlyTypes}}`)}::name[]) and coalesce(e.typsend, y.typsend) <> 0) order by a.attnum)
    from pg_catalog.pg_attribute a left join base_of_domain d on d.oid = a.atttypid
    cross join lateral (select coalesce(d.base, a.atttypid) as base) b
    join pg_catalog.pg_type y on y.oid = b.base
    left join pg_catalog.pg_type e on e.oid = y.typelem and y.typcategory = 'A'
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'uniques', (select pg_catalog.json_agg(pg_catalog.json_build_object(
      'columns', (select pg_catalog.json_agg(a.attname order by k.n)
        from pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, n)
        left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum and k.attnum > 0
        where k.n <= i.indnkeyatts),
      'whole', i.indpred is null and i.indexprs is null, 'immediate', i.indimmediate))
    from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid),
  'references', (select pg_catalog.json_agg(distinct f.confrelid::text) from pg_catalog.pg_constraint f
    where f.contype = 'f' and f.conrelid = c.oid and f.confrelid <> c.oid),
  'deleteCascades', exists (select from pg_catalog.pg_constraint f
    where f.contype = 'f' and f.confrelid = c.oid and f.confdeltype in ('c', 'n', 'd'))
)::text as described
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = ${literal(route.targetTable.schema)} and c.relname = ${literal(route.targetTable.name)}`;
}

function fitColumn(route: Route, column: RouteColumn, index: number, catalog: CatalogTable): TargetColumn {
  const found = catalog.columns?.find((candidate) => candidate.name === column.target);
  if (found === undefined) throw unfit(route, `it has no column ${column.target}`);
  if (found.generated) throw unfit(route, `its column ${column.target} is generated and cannot be written`);
  return {
    ...column,
    stage: `c${index + 1}`,
    isKey: route.key.includes(column.source),
    targetType: found.type,
    // Oids below 16384 are built in: the same type, with the same binary form, in every database of every version.
    sameType: found.base === column.typeOid && Number(found.base) < 16384 && found.binary,
    identity: found.identity === 'a',
    notNull: found.notNull,
  };
}

function sameSet(columns: readonly (string | null)[], key: readonly string[]): boolean {
  return columns.length === key.length && key.every((name) => columns.includes(name));
}

function missing(route: Route): PgrepError {
  const table = showTable(route.targetTable);
  return new PgrepError('target', `Node ${route.target} has no table ${table} for ${showTable(route.sourceTable)}.`, {
    hint: `Create it there: ${createTableSql(route)}`,
  });
}

/** A `create table` that fits the route, for messages: types without length, the key as primary key. */
function createTableSql(route: Route): string {
  const columns = route.columns.map((column) => `${ident(column.target)} ${column.type}`);
  const key = route.columns.filter((column) => route.key.includes(column.source)).map((column) => ident(column.target));
  return `create table ${ident(route.targetTable.schema)}.${ident(route.targetTable.name)} (${columns.join(', ')}, primary key (${key.join(', ')}));`;
}

function unfit(route: Route, what: string): PgrepError {
  return new PgrepError(
    'target',
    `Table ${showTable(route.targetTable)} of node ${route.target} cannot take ${showTable(route.sourceTable)}: ${what}.`,
    {
      hint: 'Change the table, or say which columns to replicate with --columns and how they are named there with --map source=target.',
    },
  );
}

function noKey(route: Route, key: readonly string[]): PgrepError {
  return new PgrepError(
    'target',
    `Table ${showTable(route.targetTable)} of node ${route.target} has no unique index on (${key.join(', ')}): rows could not be found there by key.`,
    {
      hint: `Create it there: create unique index on ${ident(route.targetTable.schema)}.${ident(route.targetTable.name)} (${key.map(ident).join(', ')});`,
    },
  );
}
