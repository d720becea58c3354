import type { TableName } from '../core/route.ts';
import type { TableDescription } from '../db/table-description.ts';
import { captureFunctions, queueTable } from './capture-names.ts';
import { functionSql, triggerFunctions } from './function-sql.ts';
import { queueLayout } from './queue-layout.ts';
import { queueSql } from './queue-sql.ts';
import { triggerSql } from './trigger-sql.ts';

/** What capture of one table is made from. */
export interface CaptureOptions {
  readonly description: TableDescription;
  /** From `chooseKey`. */
  readonly key: readonly string[];
  /** `pgrep.captured_table.table_id`, an int as text. */
  readonly tableId: string;
  /** This node's `pgrep.node.node_id`. */
  readonly nodeId: number;
}

/**
 * The statements that begin capture of a table, in order: queue, functions, triggers on the table and all its partitions.
 * To be run in one transaction, with `capturePath` before them.
 */
export function captureSql(options: CaptureOptions): readonly string[] {
  const { description, key, tableId } = options;
  const layout = queueLayout(description, key);
  return [
    ...queueSql({ ...options, layout }),
    ...functionSql(triggerFunctions({ tableId, layout, partitioned: description.kind === 'partitioned' })),
    ...relationsOf(description).flatMap(({ table }) => triggerSql({ description, key, tableId, relation: table })),
  ];
}

/** Binds every operator of defaults and trigger conditions to PostgreSQL's own; lasts until the transaction ends. */
export const capturePath = 'set local search_path to pg_catalog, pg_temp';

/**
 * The statements that end capture of a table. They name nothing of the table itself: the triggers, wherever they are (also on
 * detached partitions), fall with their functions, and a table that is already gone is no matter.
 */
export function dropCaptureSql(tableId: string): readonly string[] {
  const { keys, oldKeys, truncate } = captureFunctions(tableId);
  return [
    ...[keys, oldKeys, truncate].map((name) => `drop function if exists ${name}() cascade`),
    `drop table if exists ${queueTable(tableId)}`,
  ];
}

/** The relations that need triggers: the table itself and its partitions of all levels. */
export function relationsOf(
  description: TableDescription,
): readonly { readonly oid: string; readonly table: TableName }[] {
  return [description, ...description.partitions];
}
