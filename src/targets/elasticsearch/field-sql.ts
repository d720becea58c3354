import { ident, literal } from '../../db/quote.ts';
import type { BoundKind, FieldType } from './field-type.ts';

/**
 * SQL whose JSON form (by `row_to_json`) is the field's value, for an expression of the column's type.
 * Exact: numbers keep every digit. Instants end in Z whatever TimeZone the session has.
 */
export function fieldSql(field: FieldType, value: string): string {
  switch (field.kind) {
    case 'oid':
      return `(${value})::pg_catalog.int8`;
    case 'exactNumber':
      return exactNumber(value);
    case 'timestamptz':
      return instant(value);
    case 'bytea':
      return `pg_catalog.translate(pg_catalog.encode(${value}, 'base64'), E'\\n', '')`;
    case 'other':
      return `(${value})::pg_catalog.text`;
    case 'array':
      return isPlain(field) ? value : arraySql(field, value);
    case 'object':
      return isPlain(field) ? value : objectSql(field.attributes, value);
    case 'range':
      return field.several ? eachOf(value, rangeSql(field.bound, 'e.v')) : rangeSql(field.bound, value);
    default:
      return value;
  }
}

/** True when the JSON that PostgreSQL makes of the value is the document's as it stands. */
function isPlain(field: FieldType): boolean {
  switch (field.kind) {
    case 'oid':
    case 'timestamptz':
    case 'bytea':
    case 'other':
    case 'range':
      return false;
    case 'array':
      return isPlain(field.element);
    case 'object':
      return field.attributes.every((attribute) => isPlain(attribute.type));
    default:
      // Inside of arrays and objects a numeric of more than 1,000 digits is left to be refused.
      return true;
  }
}

/** Elasticsearch's parser refuses a number of more than 1,000 characters; as a string it is taken, and read as a number where it can be. */
function exactNumber(value: string): string {
  return `case when pg_catalog.abs(${value}) >= 1e300 or pg_catalog.scale(${value}) > 600
      then pg_catalog.to_json((${value})::pg_catalog.text) else pg_catalog.to_json(${value}) end`;
}

/** ISO 8601 with Z; years outside 1 to 9999 and infinity stay in PostgreSQL's words (kept in `_source`, not indexed). */
function instant(value: string): string {
  const utc = `(${value}) at time zone 'UTC'`;
  return `case when (${value}) >= '0001-01-01 00:00:00+00' and (${value}) < '10000-01-01 00:00:00+00'
      then pg_catalog.btrim(pg_catalog.to_json(${utc})::pg_catalog.text, '"') || 'Z'
      else pg_catalog.btrim(pg_catalog.to_json(${utc})::pg_catalog.text, '"') end`;
}

/** Dimensions are kept where elements need no change; else the array becomes flat, as Elasticsearch reads it anyway. */
function arraySql(field: FieldType & { kind: 'array' }, value: string): string {
  if (field.element.kind === 'other') return `(${value})::pg_catalog.text[]`;
  if (field.element.kind === 'oid') return `(${value})::pg_catalog.int8[]`;
  if (field.element.kind === 'object') {
    const columns = field.element.attributes.map((_, i) => `a${i}`);
    const pairs = field.element.attributes.map((a, i) => `${literal(a.name)}, ${fieldSql(a.type, `e.a${i}`)}`);
    return aggregate(value, `e(${[...columns, 'n'].join(', ')})`, `pg_catalog.json_build_object(${pairs.join(', ')})`);
  }
  return eachOf(value, fieldSql(field.element, 'e.v'));
}

function eachOf(value: string, element: string): string {
  return aggregate(value, 'e(v, n)', element);
}

function aggregate(value: string, alias: string, element: string): string {
  return `case when (${value}) is not null then (
      select coalesce(pg_catalog.json_agg(${element} order by e.n), '[]') from pg_catalog.unnest(${value}) with ordinality ${alias}) end`;
}

function objectSql(attributes: readonly { readonly name: string; readonly type: FieldType }[], value: string): string {
  const pairs = attributes.map((a) => `${literal(a.name)}, ${fieldSql(a.type, `(${value}).${ident(a.name)}`)}`);
  // "is not null" is false for a row with any null in it.
  return `case when (${value}) is distinct from null then pg_catalog.json_build_object(${pairs.join(', ')}) end`;
}

/**
 * A range as `{"gte": …, "lt": …}`. Empty: null. A bound that is infinite or beyond what the index can hold is left out;
 * a range wholly beyond is null. Bounds too close for the index's resolution (milliseconds, doubles) become
 * inclusive, because Elasticsearch refuses a range that it finds empty.
 */
function rangeSql(bound: BoundKind, range: string): string {
  const lower = `pg_catalog.lower(${range})`;
  const upper = `pg_catalog.upper(${range})`;
  const { least, greatest } = limits(bound);
  const narrow = narrowSql(bound, lower, upper);
  const within =
    greatest === null ? '' : ` and coalesce(${lower} <= ${greatest}, true) and coalesce(${upper} >= ${least}, true)`;
  const shownLower = greatest === null ? lower : `case when ${lower} >= ${least} then ${boundSql(bound, lower)} end`;
  const shownUpper = greatest === null ? upper : `case when ${upper} <= ${greatest} then ${boundSql(bound, upper)} end`;
  return `case when not pg_catalog.isempty(${range})${within} then pg_catalog.json_strip_nulls(pg_catalog.json_build_object(
      case when pg_catalog.lower_inc(${range})${narrow} then 'gte' else 'gt' end, ${shownLower},
      case when pg_catalog.upper_inc(${range})${narrow} then 'lte' else 'lt' end, ${shownUpper})) end`;
}

function boundSql(bound: BoundKind, value: string): string {
  return bound === 'timestamptz' ? instant(value) : value;
}

function limits(bound: BoundKind): { least: string; greatest: string | null } {
  switch (bound) {
    case 'integer':
    case 'long':
      return { least: '', greatest: null };
    case 'float':
      return { least: `'-1.79e308'::pg_catalog.float8`, greatest: `'1.79e308'::pg_catalog.float8` };
    case 'number':
      return { least: '-1e300::pg_catalog.numeric', greatest: '1e300::pg_catalog.numeric' };
    case 'date':
      return { least: `'0001-01-01'::pg_catalog.date`, greatest: `'9999-12-31'::pg_catalog.date` };
    case 'timestamp':
      return {
        least: `'0001-01-01'::pg_catalog.timestamp`,
        greatest: `'9999-12-31 23:59:59.999999'::pg_catalog.timestamp`,
      };
    case 'timestamptz':
      return {
        least: `'0001-01-01 00:00:00+00'::pg_catalog.timestamptz`,
        greatest: `'9999-12-31 23:59:59.999999+00'::pg_catalog.timestamptz`,
      };
  }
}

function narrowSql(bound: BoundKind, lower: string, upper: string): string {
  switch (bound) {
    case 'integer':
    case 'long':
    case 'date':
      return '';
    case 'timestamp':
    case 'timestamptz':
      // Compared by adding, because the difference of far-away or infinite instants is an error.
      return ` or ${upper} < ${lower} + interval '2 ms'`;
    case 'float':
    case 'number':
      // In numeric, because the difference of two doubles can overflow.
      return ` or (${upper})::pg_catalog.numeric - (${lower})::pg_catalog.numeric <= 2e-15 * pg_catalog.abs((${upper})::pg_catalog.numeric)`;
  }
}
