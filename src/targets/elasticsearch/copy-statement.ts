import { ident, literal } from '../../db/quote.ts';
import type { ChangedTable } from '../target.ts';
import { documentIdJson, documentIdSql, hasLooseEquality, type KeyColumn } from './document-id.ts';
import { fieldSql } from './field-sql.ts';
import { holdsJson, type FieldType } from './field-type.ts';

/** All that building a route's documents needs to know of its table. */
export interface DocumentShape {
  /** Source names of the key columns, in key order. */
  readonly key: readonly { readonly name: string; readonly column: KeyColumn }[];
  readonly fields: readonly { readonly source: string; readonly target: string; readonly type: FieldType }[];
}

// Neither byte can occur in JSON, so COPY in CSV form gives texts as they are: nothing is quoted or escaped.
const rawCsv = `(format csv, quote E'\\x01', delimiter E'\\x02')`;

/** Stands between an action and its document in the bytes of `documentsCopy`. */
export const separatorByte = 0x02;

/**
 * COPY that gives a line for each key: a bulk action, `separatorByte`, and the document (nothing for a delete).
 * With the separator as a line feed it is the body of a bulk request.
 */
export function documentsCopy(shape: DocumentShape, table: ChangedTable, build: string): string {
  const { from, live, id } = items(shape, table);
  const idJson = documentIdJson(
    shape.key.map((part) => part.column),
    id,
  );
  const tail = `,"version":${BigInt(build)},"version_type":"external"}}`;
  return `copy (
  select case when ${live} then '{"index":{"_id":' else '{"delete":{"_id":' end || ${idJson} || ${literal(tail)}, ${documentSql(shape, live)}
  from ${from}
  ) to stdout ${rawCsv}`;
}

/** COPY that gives, for those of the table's keys that have these ids, a JSON array a line: id, key texts, document text or null. */
export function keysOfIdsCopy(shape: DocumentShape, table: ChangedTable, ids: readonly string[]): string {
  const { from, live, id, keys } = items(shape, table);
  return `copy (
  select pg_catalog.json_build_array(${id}, pg_catalog.json_build_array(${keys.join(', ')}), ${documentSql(shape, live)})::pg_catalog.text
  from ${from}
  where ${id} = any (array[${ids.map(literal).join(', ')}]::pg_catalog.text[])
  ) to stdout ${rawCsv}`;
}

interface Items {
  /** From-list with one row an item; `d` is the document's row. */
  readonly from: string;
  /** Boolean: the item is a document, not a delete. */
  readonly live: string;
  readonly id: string;
  readonly keys: readonly string[];
}

function items(shape: DocumentShape, table: ChangedTable): Items {
  const rowColumns = shape.fields.map((field, i) => `r.${ident(field.source)} as f${i}`);
  const rows = `(select true as live, ${[...keyOf(shape, 'r', 'r'), ...rowColumns].join(', ')} from ${table.rows} r) t`;
  const values = shape.fields.map((field, i) => `${fieldSql(field.type, `t.f${i}`)} as ${ident(field.target)}`);
  const document = `cross join lateral (select ${values.join(', ')}) d`;
  const columns = shape.key.map((part) => part.column);
  const ofRow = shape.key.map((_, i) => `t.r${i}`);
  const rowId = documentIdSql(columns, ofRow);
  if (table.sweep || table.allLive === true)
    return { from: `${rows} ${document}`, live: 't.live', id: rowId, keys: texts(ofRow) };
  const ofKey = shape.key.map((_, i) => `c.k${i}`);
  const keyId = documentIdSql(columns, ofKey);
  const on = shape.key.map((_, i) => `t.r${i} = c.k${i}`).join(' and ');
  const joined = `(select ${keyOf(shape, 'q', 'k').join(', ')} from (${table.keys}) q) c left join ${rows} on ${on} ${document}`;
  if (!hasLooseEquality(columns)) return { from: joined, live: 't.live', id: keyId, keys: texts(ofKey) };
  const both = `cross join lateral (
    select true as live, ${rowId} as id where t.live
    union all select false, ${keyId} where t.live is null or ${keyId} <> ${rowId}) i`;
  return { from: `${joined} ${both}`, live: 'i.live', id: 'i.id', keys: texts(ofKey) };
}

function keyOf(shape: DocumentShape, from: string, as: string): string[] {
  return shape.key.map((part, i) => `${from}.${ident(part.name)} as ${as}${i}`);
}

function texts(values: readonly string[]): string[] {
  return values.map((value) => `(${value})::pg_catalog.text`);
}

/** The row's JSON on one line; raw line breaks can stand only between the tokens of a `json` value. */
function documentSql(shape: DocumentShape, live: string): string {
  const json = 'pg_catalog.row_to_json(d.*)::pg_catalog.text';
  const line = shape.fields.some((field) => holdsJson(field.type))
    ? `pg_catalog.translate(${json}, E'\\n\\r', '  ')`
    : json;
  return `case when ${live} then ${line} end`;
}
