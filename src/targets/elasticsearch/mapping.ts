import type { BoundKind, FieldType } from './field-type.ts';

/** A field's mapping as Elasticsearch takes it. */
export type FieldMapping = Readonly<Record<string, unknown>>;

/** A field of the documents: its name and what it holds. */
export interface IndexField {
  readonly name: string;
  readonly type: FieldType;
}

/**
 * `PUT /<index>` with this body makes the index that a route needs: strict mapping, deletes remembered long enough,
 * and an alias of its own to write through (see `writeAlias`).
 */
export function createIndexBody(index: string, fields: readonly IndexField[]): FieldMapping {
  return {
    aliases: { [writeAlias(index)]: {} },
    settings: { index: { gc_deletes: gcDeletes, 'mapping.total_fields.limit': fieldLimit(fields) } },
    mappings: {
      dynamic: 'strict',
      _meta: { pgrep: true },
      properties: properties(fields),
    },
  };
}

/**
 * The alias that pgrep writes through. Elasticsearch makes an index that is missing when something is written to it, with a
 * mapping of its own guess; a write that asks for an alias (`require_alias`) is refused instead.
 */
export function writeAlias(index: string): string {
  return `${index}.pgrep`;
}

/** A deleted document's version is remembered this long, so that an older build which arrives late cannot bring it back. */
export const gcDeletes = '10m';

// A text beyond Lucene's 32,766 bytes would be refused with its document; a character takes at most 4.
const longestKeyword = 8191;

// What Elasticsearch's own dynamic mapping gives a text.
const longestSubKeyword = 256;

const date = { type: 'date', format: 'strict_date_optional_time', ignore_malformed: true };

/** The mapping of each field by name. */
export function properties(fields: readonly IndexField[]): Readonly<Record<string, FieldMapping>> {
  return Object.fromEntries(fields.map((field) => [field.name, fieldMapping(field.type)]));
}

/** One field's mapping. Where a value can be outside of what the index takes, it stays in `_source` and is not searched. */
function fieldMapping(field: FieldType): FieldMapping {
  switch (field.kind) {
    case 'boolean':
    case 'short':
    case 'integer':
    case 'long':
      return { type: field.kind };
    case 'oid':
      return { type: 'long' };
    case 'float':
    case 'double':
      return { type: field.kind, ignore_malformed: true };
    case 'number':
    case 'exactNumber':
      return { type: 'double', ignore_malformed: true };
    case 'text':
      return { type: 'text', fields: { keyword: { type: 'keyword', ignore_above: longestSubKeyword } } };
    case 'keyword':
    case 'other':
      return { type: 'keyword', ignore_above: longestKeyword };
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return date;
    case 'json':
      return { type: 'object', enabled: false };
    case 'bytea':
      return { type: 'binary' };
    case 'inet':
      return {
        type: 'ip',
        ignore_malformed: true,
        fields: { keyword: { type: 'keyword', ignore_above: longestSubKeyword } },
      };
    case 'cidr':
      return { type: 'ip_range' };
    case 'array':
      return fieldMapping(field.element);
    case 'object':
      return { type: 'object', properties: properties(field.attributes) };
    case 'range':
      return rangeMapping(field.bound);
  }
}

function rangeMapping(bound: BoundKind): FieldMapping {
  switch (bound) {
    case 'integer':
      return { type: 'integer_range' };
    case 'long':
      return { type: 'long_range' };
    case 'float':
    case 'number':
      return { type: 'double_range' };
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return { type: 'date_range', format: date.format };
  }
}

/** Paths of fields that a mapping with these properties and `dynamic` would refuse to take, in order. */
export function missingFields(
  fields: readonly IndexField[],
  mapping: { readonly dynamic?: unknown; readonly properties?: unknown },
): readonly string[] {
  const known = asRecord(mapping.properties);
  const strict = mapping.dynamic === 'strict';
  return fields.flatMap((field) => {
    const found = lookUp(known, field.name);
    if (found === null) return strict ? [field.name] : [];
    const object = objectUnder(field.type);
    if (object === null || found['enabled'] === false || found['properties'] === undefined) return [];
    const below = { dynamic: found['dynamic'] ?? mapping.dynamic, properties: found['properties'] };
    return missingFields(object, below).map((path) => `${field.name}.${path}`);
  });
}

/** A dot in a column's name is a path into objects for Elasticsearch. */
function lookUp(known: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> | null {
  const exact = known[name];
  if (exact !== undefined) return asRecord(exact);
  const dot = name.indexOf('.');
  if (dot < 0) return null;
  const parent = known[name.slice(0, dot)];
  return parent === undefined ? null : lookUp(asRecord(asRecord(parent)['properties']), name.slice(dot + 1));
}

function objectUnder(field: FieldType): readonly IndexField[] | null {
  if (field.kind === 'array') return objectUnder(field.element);
  return field.kind === 'object' ? field.attributes : null;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Elasticsearch allows 1,000 fields unless told; a wide table with sub-fields has more. */
function fieldLimit(fields: readonly IndexField[]): number {
  return Math.max(1000, 4 * fields.reduce((sum, field) => sum + countFields(field.type), 0));
}

function countFields(field: FieldType): number {
  if (field.kind === 'array') return countFields(field.element);
  return field.kind === 'object' ? 1 + field.attributes.reduce((sum, a) => sum + countFields(a.type), 0) : 1;
}
