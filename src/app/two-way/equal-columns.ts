import { PgrepError } from '../../core/error.ts';
import { showTable } from '../../core/route.ts';
import { storedType, type ColumnDescription, type TableDescription } from '../../db/table-description.ts';

/** One end of a two-way route. */
export interface TableAt {
  readonly node: string;
  readonly description: TableDescription;
}

/**
 * Refuses columns that hold other values at one end than at the other: what one end rounds, pads or cuts would come back as a
 * change. `names`: pairs of column names, this end's first. Throws `route`, naming the column.
 */
export function checkEqualColumns(one: TableAt, other: TableAt, names: readonly (readonly [string, string])[]): void {
  for (const [name, otherName] of names) {
    const column = find(one.description, name);
    const otherColumn = find(other.description, otherName);
    if (column === undefined || otherColumn === undefined || holdTheSame(column, otherColumn)) continue;
    throw new PgrepError(
      'route',
      `Column ${name} of ${showTable(one.description.table)} is ${showType(column)} at ${one.node}, but ${otherName} of ${showTable(other.description.table)} is ${showType(otherColumn)} at ${other.node}: rows could not be kept equal both ways.`,
      { hint: 'Give both the same type, or leave the column out with --columns.' },
    );
  }
}

/** True when every value of one is a value of the other, and the same one. */
export function holdTheSame(one: ColumnDescription, other: ColumnDescription): boolean {
  return (
    storedType(one.type).sql === storedType(other.type).sql &&
    one.typmod === other.typmod &&
    one.deterministic === other.deterministic
  );
}

function find(description: TableDescription, name: string): ColumnDescription | undefined {
  return description.columns.find((column) => column.name === name);
}

/** A column's type for messages. */
export function showType(column: ColumnDescription): string {
  return column.deterministic ? column.formattedType : `${column.formattedType} with a nondeterministic collation`;
}
