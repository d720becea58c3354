import { PgrepError } from '../core/error.ts';
import { ident } from '../db/quote.ts';
import {
  storedType,
  type ColumnDescription,
  type TableDescription,
  type TypeDescription,
} from '../db/table-description.ts';

/** How a table's keys lie in its queue. */
export interface QueueLayout {
  /** True: `k1`, `k2`, … are arrays, up to 1,000 keys a queue row. False: one key a row, as scalars. */
  readonly packed: boolean;
  /** In key order; column `k1` is the first. */
  readonly columns: readonly QueueColumn[];
}

export interface QueueColumn {
  /** `k1`, `k2`, …: never the user's name. */
  readonly name: string;
  /** Declared type with its collation, as SQL: of an array of keys when packed. */
  readonly type: string;
  /** The same without the collation. */
  readonly bareType: string;
  /** The key column's name in the table. */
  readonly source: string;
  /** Cast that makes the value's type the queue's element type: `::integer` for a domain, else empty. */
  readonly cast: string;
}

/**
 * Decides for the whole table: packed unless a key column is itself an array (arrays of arrays need equal lengths), a composite
 * (unnest would spread it over several columns) or has no array type. Packed columns hold what a domain is made of; unpacked ones have exactly the type of the key column.
 */
export function queueLayout(description: TableDescription, key: readonly string[]): QueueLayout {
  const columns = key.map((name) => keyColumn(description, name));
  const packed = columns.every((column) => packable(storedType(column.type)));
  return { packed, columns: columns.map((column, place) => queueColumn(column, place, packed)) };
}

/** The described column of a key. */
export function keyColumn(description: TableDescription, name: string): ColumnDescription {
  const column = description.columns.find((candidate) => candidate.name === name);
  if (column === undefined) throw new PgrepError('bug', `Key column ${name} is not in the table's description.`);
  return column;
}

function packable(type: TypeDescription): boolean {
  return type.kind !== 'array' && type.kind !== 'composite' && type.hasArray;
}

function queueColumn(column: ColumnDescription, place: number, packed: boolean): QueueColumn {
  const stored = packed ? storedType(column.type) : column.type;
  // A comparison of columns under two different collations fails, so the queue has the table's.
  const collation = column.collation === null ? '' : ` collate ${column.collation}`;
  const bareType = `${stored.sql}${packed ? '[]' : ''}`;
  return {
    name: `k${place + 1}`,
    type: `${bareType}${collation}`,
    bareType,
    source: ident(column.name),
    cast: stored === column.type ? '' : `::${stored.sql}`,
  };
}
