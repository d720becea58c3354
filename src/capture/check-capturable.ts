import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import type { Persistence, RelationKind, TableDescription } from '../db/table-description.ts';

/**
 * Throws `table` with advice when statement triggers cannot see every change of the relation: views, foreign, temporary,
 * unlogged and system tables, single partitions, and tables that take part in INHERITS.
 */
export function checkCapturable(description: TableDescription): void {
  const name = showTable(description.table);
  if (description.system) throw refused(name, 'is a system table', 'Replicate a table of your own.');
  checkKind(name, description.kind);
  checkPersistence(name, description.persistence);
  if (description.partitionOf !== null) {
    const root = showTable(description.partitionOf);
    throw refused(
      name,
      `is a partition of ${root}`,
      `A statement on ${root} does not fire its triggers. Replicate ${root} instead.`,
    );
  }
  checkInheritance(name, description);
  for (const partition of description.partitions) {
    const part = `${name} has the partition ${showTable(partition.table)}, which`;
    checkKind(part, partition.kind);
    checkPersistence(part, partition.persistence);
  }
}

function checkKind(name: string, kind: RelationKind): void {
  switch (kind) {
    case 'table':
    case 'partitioned':
      return;
    case 'foreign':
      throw refused(name, 'is a foreign table', 'Its rows change on another server unseen. Replicate it from there.');
    case 'view':
      throw refused(name, 'is a view', 'It has no rows of its own. Replicate the tables that it is made of.');
    case 'materializedView':
      throw refused(
        name,
        'is a materialized view',
        'A refresh fires no triggers. Replicate the tables that it is made of.',
      );
    case 'sequence':
    case 'other':
      throw refused(name, 'is not a table', 'Name a table.');
  }
}

function checkPersistence(name: string, persistence: Persistence): void {
  switch (persistence) {
    case 'permanent':
      return;
    case 'temporary':
      throw refused(name, 'is temporary', 'It is gone with its session. Replicate a permanent table.');
    case 'unlogged':
      throw refused(
        name,
        'is unlogged',
        `A crash empties it without a trace. Make it permanent: alter table … set logged;`,
      );
  }
}

function checkInheritance(name: string, { inheritsFrom, inheritedBy }: TableDescription): void {
  const advice =
    'Statements on the parent change rows of the child without firing its triggers, and keys are unique in each alone. Use declarative partitions, or end it: alter table … no inherit …;';
  if (inheritsFrom.length > 0) throw refused(name, `inherits from ${show(inheritsFrom)}`, advice);
  if (inheritedBy.length > 0) throw refused(name, `is inherited by ${show(inheritedBy)}`, advice);
}

function show(tables: readonly TableName[]): string {
  return tables.map(showTable).join(', ');
}

function refused(name: string, what: string, hint: string): PgrepError {
  return new PgrepError('table', `${name} ${what}; its changes cannot be captured.`, { hint });
}
