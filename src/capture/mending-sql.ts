import { showTable } from '../core/route.ts';
import { ident, tableIdent } from '../db/quote.ts';
import type { TableDescription } from '../db/table-description.ts';
import { queueTable } from './capture-names.ts';
import { relationsOf } from './capture-sql.ts';
import type { Drift } from './drift.ts';
import { functionSql, triggerFunctions } from './function-sql.ts';
import type { InstalledCapture } from './installed-capture.ts';
import { queueLayout, type QueueLayout } from './queue-layout.ts';
import { triggerSql } from './trigger-sql.ts';

/**
 * Statements that mend the repairable drift of one table, in order, for one transaction. Relations whose changes may have been
 * missed are struck from `pgrep.captured_relation`, so that their keys are queued next.
 */
export function mendingSql(
  installed: InstalledCapture,
  description: TableDescription,
  drift: readonly Drift[],
): readonly string[] {
  const { tableId } = installed;
  const kinds = new Set(drift.map(({ kind }) => kind));
  const layout = queueLayout(description, installed.key);
  const functions = functionSql(triggerFunctions({ tableId, layout, partitioned: description.kind === 'partitioned' }));
  // What was deleted while nobody looked has no key that tells of it: the targets' rows are compared.
  const deletesMissed = kinds.has('triggers') || kinds.has('partitionGone');
  return [
    ...(kinds.has('keyType') ? [queueTypeSql(tableId, layout)] : []),
    ...(kinds.has('keyType') || kinds.has('functions') ? functions : []),
    ...drift.flatMap((one) => relationSql(installed, description, one)),
    ...(deletesMissed ? [markerSql(tableId), forgetSql(tableId, description, drift)] : []),
  ];
}

/** Where versions are kept the marker would count as a TRUNCATE of now, and take what other nodes wrote with it. */
function markerSql(tableId: string): string {
  return `insert into ${queueTable(tableId)} (truncated) select true where not exists (select from pgrep.versioned_table v where v.table_id = ${tableId})`;
}

function queueTypeSql(tableId: string, layout: QueueLayout): string {
  const types = layout.columns.map(
    ({ name, type, bareType }) => `alter column ${name} type ${type} using ${name}::${bareType}`,
  );
  return `alter table ${queueTable(tableId)} ${types.join(', ')}`;
}

function relationSql(installed: InstalledCapture, description: TableDescription, drift: Drift): readonly string[] {
  const { kind, relation } = drift;
  if (relation === null) return [];
  const { tableId, key } = installed;
  const there = installed.triggers.filter((trigger) => showTable(trigger.relation) === showTable(relation));
  const drop = there.map(({ name }) => `drop trigger if exists ${ident(name)} on ${tableIdent(relation)}`);
  if (kind === 'partitionGone') return drop;
  if (kind !== 'triggers' && kind !== 'newPartition') return [];
  return [...drop, ...triggerSql({ description, key, tableId, relation })];
}

/** Keeps only the relations that are in the tree and whose triggers were in order. */
function forgetSql(tableId: string, description: TableDescription, drift: readonly Drift[]): string {
  const broken = new Set(
    drift.flatMap(({ kind, relation }) => (kind === 'triggers' && relation !== null ? [showTable(relation)] : [])),
  );
  const trusted = relationsOf(description).filter(({ table }) => !broken.has(showTable(table)));
  const oids = trusted.map(({ oid }) => oid).join(', ');
  return `delete from pgrep.captured_relation where table_id = ${tableId} and relation <> all (array[${oids}]::oid[])`;
}
