import { storedType, type ColumnDescription, type TypeDescription } from '../../db/table-description.ts';

/** What a value becomes in a document; decides the field's mapping and the SQL that builds it. */
export type FieldType =
  | { readonly kind: ScalarKind }
  | { readonly kind: 'array'; readonly element: FieldType; readonly elementSql: string }
  | { readonly kind: 'object'; readonly attributes: readonly { readonly name: string; readonly type: FieldType }[] }
  | { readonly kind: 'range'; readonly bound: BoundKind; readonly several: boolean };

/** `keyword`: its JSON form is right as it is. `other`: taken as text. `exactNumber`: numeric without a small precision. */
export type ScalarKind =
  | 'boolean'
  | 'short'
  | 'integer'
  | 'long'
  | 'oid'
  | 'float'
  | 'double'
  | 'number'
  | 'exactNumber'
  | 'text'
  | 'keyword'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'json'
  | 'bytea'
  | 'inet'
  | 'cidr'
  | 'other';

/** Bounds of ranges that Elasticsearch has a field type for. */
export type BoundKind = 'integer' | 'long' | 'float' | 'number' | 'date' | 'timestamp' | 'timestamptz';

const builtIn: Readonly<Record<string, ScalarKind>> = {
  bool: 'boolean',
  int2: 'short',
  int4: 'integer',
  int8: 'long',
  oid: 'oid',
  float4: 'float',
  float8: 'double',
  numeric: 'exactNumber',
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
  name: 'keyword',
  uuid: 'keyword',
  time: 'keyword',
  timetz: 'keyword',
  interval: 'keyword',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  json: 'json',
  jsonb: 'json',
  bytea: 'bytea',
  inet: 'inet',
  cidr: 'cidr',
};

const bounds: Partial<Readonly<Record<ScalarKind, BoundKind>>> = {
  short: 'integer',
  integer: 'integer',
  long: 'long',
  float: 'float',
  double: 'float',
  exactNumber: 'number',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
};

// numeric(p, s) up to this precision is never longer than the 1,000 characters that Elasticsearch takes as a number.
const plainPrecision = 900;

/** The field of one column. Domains count as what they stand on. */
export function fieldOf(column: Pick<ColumnDescription, 'type' | 'typmod'>): FieldType {
  const field = fieldOfType(column.type);
  const precision = column.typmod === -1 ? Infinity : (column.typmod - 4) >> 16;
  return field.kind === 'exactNumber' && precision <= plainPrecision ? { kind: 'number' } : field;
}

/** The field of a type. */
function fieldOfType(described: TypeDescription): FieldType {
  const type = storedType(described);
  switch (type.kind) {
    case 'base':
      return { kind: scalarOf(type) };
    case 'enum':
      return { kind: 'keyword' };
    case 'composite':
      return { kind: 'object', attributes: type.attributes.map((a) => ({ name: a.name, type: fieldOfType(a.type) })) };
    case 'array':
      // int2vector and oidvector count as arrays in the catalog but not in JSON.
      return type.of === null || type.name.endsWith('vector')
        ? { kind: 'other' }
        : { kind: 'array', element: fieldOfType(type.of), elementSql: type.of.sql };
    case 'range':
      return rangeOf(type.of, false);
    case 'multirange':
      return rangeOf(type.of?.of ?? null, true);
    case 'domain':
    case 'pseudo':
      return { kind: 'other' };
  }
}

/** True when the field holds `json` values (also inside of arrays and objects), whose text may have line breaks. */
export function holdsJson(field: FieldType): boolean {
  switch (field.kind) {
    case 'array':
      return holdsJson(field.element);
    case 'object':
      return field.attributes.some((attribute) => holdsJson(attribute.type));
    default:
      return field.kind === 'json';
  }
}

function scalarOf(type: TypeDescription): ScalarKind {
  if (type.schema === 'pg_catalog') return builtIn[type.name] ?? 'other';
  return type.name === 'citext' ? 'text' : 'other';
}

function rangeOf(subtype: TypeDescription | null, several: boolean): FieldType {
  if (subtype === null) return { kind: 'other' };
  const field = fieldOfType(subtype);
  const bound = bounds[field.kind as ScalarKind];
  return bound === undefined ? { kind: 'other' } : { kind: 'range', bound, several };
}
