import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { tableDescriptionSql } from './table-description-sql.ts';

/** What reading the catalog needs of a connection; `Session` and a plain client of `pg` both fit. */
export interface CatalogReader {
  query(text: string, values?: readonly unknown[]): Promise<{ rows: readonly Readonly<Record<string, unknown>>[] }>;
}

/** What the catalog says of one relation, as of the transaction of the query. */
export interface TableDescription {
  /** `pg_class.oid` as text. */
  readonly oid: string;
  readonly table: TableName;
  readonly kind: RelationKind;
  readonly persistence: Persistence;
  /** True for a relation in `pg_catalog`, `information_schema`, a TOAST schema or `pgrep`. */
  readonly system: boolean;
  readonly owner: string;
  /** True when the table has row-level security enabled. */
  readonly rowSecurity: boolean;
  /** In table order, dropped columns left out. */
  readonly columns: readonly ColumnDescription[];
  /** Columns of the primary key in its order; empty without one. */
  readonly primaryKey: readonly string[];
  /** All unique indexes, the primary key's first, then by name. */
  readonly uniqueIndexes: readonly UniqueIndex[];
  /** The partitions of all levels, parents first; empty for a table that is not partitioned. */
  readonly partitions: readonly PartitionDescription[];
  /** The partitioned table that this is a partition of. */
  readonly partitionOf: TableName | null;
  /** Tables that this one inherits from with INHERITS (not its partitioned parent). */
  readonly inheritsFrom: readonly TableName[];
  /** Tables that inherit from this one with INHERITS (not its partitions). */
  readonly inheritedBy: readonly TableName[];
}

export type RelationKind = 'table' | 'partitioned' | 'foreign' | 'view' | 'materializedView' | 'sequence' | 'other';
export type Persistence = 'permanent' | 'unlogged' | 'temporary';

export interface ColumnDescription {
  readonly name: string;
  /** `pg_attribute.attnum`: stays when the column is renamed. */
  readonly number: number;
  readonly type: TypeDescription;
  /** `pg_attribute.atttypmod`; -1: none. */
  readonly typmod: number;
  /** The type with its modifier, as `format_type` shows it: `character varying(20)`. For people and for comparing. */
  readonly formattedType: string;
  /** The collation when it is not the type's own, as an SQL identifier; null otherwise. */
  readonly collation: string | null;
  /** False for a collation under which different texts can be equal. True for types without collation. */
  readonly deterministic: boolean;
  /** True only when no row can hold a null: a NOT NULL constraint that is not yet validated does not count. */
  readonly notNull: boolean;
  readonly generated: 'no' | 'stored' | 'virtual';
  readonly identity: 'no' | 'always' | 'byDefault';
  /** Default expression as SQL text; null without one, and for generated columns. */
  readonly defaultExpression: string | null;
}

export type TypeKind = 'base' | 'enum' | 'domain' | 'composite' | 'range' | 'multirange' | 'array' | 'pseudo';

/** A type, with the types that it is made of. */
export interface TypeDescription {
  /** `pg_type.oid` as text. */
  readonly oid: string;
  /** `pg_namespace.nspname`: `pg_catalog` for built-in types. */
  readonly schema: string;
  /** `pg_type.typname`: `int4`, `_text`. */
  readonly name: string;
  /** The type without modifier in SQL, right whatever `search_path` is: `integer`, `"shop"."colour"`. */
  readonly sql: string;
  readonly kind: TypeKind;
  /** True when `array_agg` and arrays of this type work as of any scalar. */
  readonly hasArray: boolean;
  /** Domain: the type below it (perhaps a domain too). Array: the element. Range: the subtype. Multirange: the range. Else null. */
  readonly of: TypeDescription | null;
  /** Labels of an enum in their order; empty for other types. */
  readonly labels: readonly string[];
  /** Attributes of a composite type in their order; empty for other types. */
  readonly attributes: readonly { readonly name: string; readonly type: TypeDescription }[];
}

export interface UniqueIndex {
  readonly name: string;
  /** Key columns in index order (`include` columns left out); an expression counts as `''`. */
  readonly columns: readonly string[];
  readonly primary: boolean;
  /** Why it cannot tell rows apart at every moment; null: it can (nullable columns apart). `deferrable`: it can at each commit. */
  readonly problem: 'invalid' | 'partial' | 'expression' | 'deferrable' | 'withoutOverlaps' | null;
}

export interface PartitionDescription {
  readonly oid: string;
  readonly table: TableName;
  readonly kind: RelationKind;
  readonly persistence: Persistence;
  readonly leaf: boolean;
}

/** Describes a table, view or other relation. Throws `table` when there is none of that name. */
export async function describeTable(db: CatalogReader, table: TableName): Promise<TableDescription> {
  const found = await findTable(db, table);
  if (found !== null) return found;
  throw new PgrepError('table', `There is no table ${showTable(table)} in this database.`, {
    hint: 'Check the spelling of schema and table; names with capital letters or dots need double quotes: \'"My Schema"."T.1"\'.',
  });
}

/** As `describeTable`, but null when there is no relation of that name. */
export async function findTable(db: CatalogReader, table: TableName): Promise<TableDescription | null> {
  const { rows } = await db.query(tableDescriptionSql, [table.schema, table.name]);
  const document = rows[0]?.['description'];
  if (document === undefined || document === null) return null;
  const raw = (typeof document === 'string' ? JSON.parse(document) : document) as RawDescription;
  const types = typeIndex(raw.types);
  return {
    ...raw.relation,
    columns: raw.columns.map(({ typeOid, ...column }) => ({ ...column, type: types(typeOid) })),
    primaryKey: raw.uniqueIndexes.find((index) => index.primary)?.columns ?? [],
    uniqueIndexes: raw.uniqueIndexes,
    partitions: raw.partitions,
  };
}

/** The type below all domains: what a value of the type is stored as. */
export function storedType(type: TypeDescription): TypeDescription {
  return type.kind === 'domain' && type.of !== null ? storedType(type.of) : type;
}

type RawColumn = Omit<ColumnDescription, 'type'> & { readonly typeOid: string };
type RawType = Omit<TypeDescription, 'of' | 'attributes'> & {
  readonly of: string | null;
  readonly attributes: readonly { readonly name: string; readonly typeOid: string }[];
};

/** The document that `tableDescriptionSql` builds. */
interface RawDescription {
  readonly relation: Omit<TableDescription, 'columns' | 'primaryKey' | 'uniqueIndexes' | 'partitions'>;
  readonly columns: readonly RawColumn[];
  readonly uniqueIndexes: readonly UniqueIndex[];
  readonly partitions: readonly PartitionDescription[];
  readonly types: readonly RawType[];
}

/** Types by oid, each built once. Types cannot contain themselves, so the recursion ends. */
function typeIndex(raws: readonly RawType[]): (oid: string) => TypeDescription {
  const rawByOid = new Map(raws.map((raw) => [raw.oid, raw]));
  const built = new Map<string, TypeDescription>();
  const build = (oid: string): TypeDescription => {
    const known = built.get(oid);
    if (known !== undefined) return known;
    const raw = rawByOid.get(oid);
    if (raw === undefined) throw new PgrepError('bug', `The catalog query left out type ${oid}.`);
    const type: TypeDescription = {
      ...raw,
      of: raw.of === null ? null : build(raw.of),
      attributes: raw.attributes.map((attribute) => ({ name: attribute.name, type: build(attribute.typeOid) })),
    };
    built.set(oid, type);
    return type;
  };
  return build;
}
