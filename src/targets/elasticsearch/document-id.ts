import { storedType, type ColumnDescription, type TypeDescription } from '../../db/table-description.ts';

/** A key column as far as ids are concerned. */
export type KeyColumn = Pick<ColumnDescription, 'type' | 'deterministic'>;

/**
 * SQL for the `_id` of the document of a key; different keys have different ids, equal keys (by `=`) the same.
 *
 * One column: its text; an empty text is `\e`, and a text that begins with `\` gets one more in front.
 * Several: the texts joined by `|`, with `\` and `|` inside of them escaped by `\`.
 * An id of more than 512 bytes, which Elasticsearch refuses, is `\h` and the SHA-256 of what it would have been.
 */
export function documentIdSql(columns: readonly KeyColumn[], values: readonly string[]): string {
  const texts = columns.map((column, i) => keyText(column.type, values[i] ?? 'null'));
  const bounded = columns.every((column) => isShort(column.type)) && columns.length <= 8;
  const id =
    texts.length === 1 ? singleId(texts[0] ?? 'null', bounded) : texts.map(escapedPart(columns)).join(` || '|' || `);
  return bounded ? id : hashedWhenLong(id);
}

/** The id as a JSON string. */
export function documentIdJson(columns: readonly KeyColumn[], id: string): string {
  return columns.every((column) => isShort(column.type))
    ? `'"' || ${id} || '"'`
    : `pg_catalog.to_json(${id})::pg_catalog.text`;
}

/**
 * True when two keys can be equal although their ids differ: an update between them is not seen as a change of key,
 * so the id that the document had must be deleted by its own text.
 */
export function hasLooseEquality(columns: readonly KeyColumn[]): boolean {
  return columns.some((column) => !column.deterministic || !exactTypes.has(typeName(column.type)));
}

// Types whose equal values have one text, or get one by keyText.
const exactTypes = new Set([
  ...[
    'bool',
    'int2',
    'int4',
    'int8',
    'oid',
    'float4',
    'float8',
    'numeric',
    'text',
    'varchar',
    'bpchar',
    'char',
    'name',
  ],
  ...['citext', 'uuid', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'bytea', 'inet', 'cidr'],
  ...['macaddr', 'macaddr8', 'bit', 'varbit', 'money', 'pg_lsn', 'xid8', 'enum'],
]);

// Short texts without quotes, backslashes or bars.
const shortTypes = new Set([
  ...['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'macaddr'],
  ...['macaddr8', 'pg_lsn', 'xid8', 'inet', 'cidr', 'float4', 'float8'],
]);

function typeName(described: TypeDescription): string {
  const type = storedType(described);
  if (type.kind === 'enum') return 'enum';
  return type.schema === 'pg_catalog' || type.name === 'citext' ? type.name : '';
}

function isShort(type: TypeDescription): boolean {
  return shortTypes.has(typeName(type));
}

/** One text for all values that are equal: 1.0 and 1.00, 0 and -0, 24 hours and 1 day. */
function keyText(type: TypeDescription, value: string): string {
  switch (typeName(type)) {
    case 'numeric':
      return `pg_catalog.trim_scale(${value})::pg_catalog.text`;
    case 'float4':
    case 'float8':
      return `(${value} + 0::pg_catalog.${typeName(type)})::pg_catalog.text`;
    case 'interval':
      return `pg_catalog.justify_interval(${value})::pg_catalog.text`;
    case 'citext':
      return `pg_catalog.lower((${value})::pg_catalog.text)`;
    default:
      return `(${value})::pg_catalog.text`;
  }
}

function singleId(text: string, bounded: boolean): string {
  if (bounded) return text;
  return `case when ${text} = '' then E'\\\\e' when ${text} ^@ E'\\\\' then E'\\\\' || ${text} else ${text} end`;
}

function escapedPart(columns: readonly KeyColumn[]): (text: string, index: number) => string {
  return (text, index) => {
    const column = columns[index];
    if (column !== undefined && isShort(column.type)) return text;
    return `pg_catalog.replace(pg_catalog.replace(${text}, E'\\\\', E'\\\\\\\\'), '|', E'\\\\|')`;
  };
}

// 512 bytes are Elasticsearch's limit. No character takes more than 4 bytes in UTF-8, so the conversion is seldom needed.
function hashedWhenLong(id: string): string {
  const bytes = `pg_catalog.convert_to(${id}, 'UTF8')`;
  return `case when pg_catalog.length(${id}) > 128 and pg_catalog.octet_length(${bytes}) > 512
      then E'\\\\h' || pg_catalog.encode(pg_catalog.sha256(${bytes}), 'hex') else ${id} end`;
}
