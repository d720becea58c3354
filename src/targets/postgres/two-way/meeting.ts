import { ident } from '../../../db/quote.ts';
import type { VersionedTable } from '../../../versions/versioned-table.ts';
import { stagedValue } from '../apply-sql.ts';
import type { TargetColumn, TargetTable } from '../target-table.ts';

/** A two-way route's table at the target, where what arrives meets what was written there. */
export interface MeetingTable extends TargetTable {
  readonly versioned: VersionedTable;
}

/** Only the tables that have versions here. */
export function isMeeting(table: TargetTable): table is MeetingTable {
  return table.versioned !== null;
}

/** SQL: staged key values (`s`) in the order of the sidecar's key. */
export function stagedKeyValues(table: MeetingTable): readonly string[] {
  return keyColumns(table).map(({ column }) => stagedValue(column));
}

/** SQL: the staged key (`s`) to order by, as fold and apply write the sidecar: two that write the same keys then wait for each other one way only. */
export function stagedKeyOrder(table: MeetingTable): string {
  const collation = (type: string): string => / collate .*$/.exec(type)?.[0] ?? '';
  return table.versioned.key
    .flatMap(({ column: named, type }) =>
      table.columns
        .filter((column) => column.target === named)
        .map((column) => `${stagedValue(column)}${collation(type)}`),
    )
    .join(', ');
}

/** SQL: the staged key (`s`) as text[], as `pgrep.conflict` keeps it. */
export function stagedKeyTexts(table: MeetingTable): string {
  return `array[${stagedKeyValues(table)
    .map((value) => `(${value})::text`)
    .join(', ')}]`;
}

/** SQL condition: the staged row (`s`) has the key of a row of a sidecar or of unfolded changes (`alias`). */
export function stagedKeyIs(table: MeetingTable, alias: string): string {
  return keyColumns(table)
    .map(({ column, name }) => `${alias}.${name} = ${stagedValue(column)}`)
    .join(' and ');
}

/** SQL condition: the table's row (`t`) has the key of a row of a sidecar or of unfolded changes (`alias`). */
export function rowKeyIs(table: MeetingTable, alias: string): string {
  return table.versioned.key.map(({ column, name }) => `${alias}.${name} = t.${ident(column)}`).join(' and ');
}

/** SQL: the key columns of the table's row (`t`), in the sidecar's order. */
export function rowKey(table: MeetingTable): string {
  return table.versioned.key.map(({ column }) => `t.${ident(column)}`).join(', ');
}

/** The key's columns in the sidecar's order, each with its name there. */
export function keyColumns(table: MeetingTable): readonly { readonly column: TargetColumn; readonly name: string }[] {
  return table.versioned.key.flatMap(({ column: named, name }) =>
    table.columns.filter((column) => column.target === named).map((column) => ({ column, name })),
  );
}
