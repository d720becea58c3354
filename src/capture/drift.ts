import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import type { TableDescription } from '../db/table-description.ts';
import { relationsOf } from './capture-sql.ts';
import { checkCapturable } from './check-capturable.ts';
import { chooseKey } from './choose-key.ts';
import { triggerFunctions } from './function-sql.ts';
import type { InstalledCapture } from './installed-capture.ts';
import { queueLayout, type QueueLayout } from './queue-layout.ts';
import { neededTriggers } from './trigger-sql.ts';

/** One way in which capture is not as it should be. */
export interface Drift {
  readonly kind: DriftKind;
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
  /** True: `repairCapture` mends it and queues what may have been missed. */
  readonly repairable: boolean;
  /** The relation in question; null when it is gone. */
  readonly relation: TableName | null;
}

/**
 * `tableGone` dropped or renamed; `notCapturable` became something whose changes cannot be seen; `keyLost` the key columns are
 * gone, nullable or not unique; `queueGone` the queue was dropped; `keyType` a key column has another type; `functions` missing
 * or of another version; `triggers` missing or not enabled; `newPartition`; `partitionGone` detached or dropped.
 */
export type DriftKind =
  | 'tableGone'
  | 'notCapturable'
  | 'keyLost'
  | 'queueGone'
  | 'keyType'
  | 'functions'
  | 'triggers'
  | 'newPartition'
  | 'partitionGone';

/** Compares what is installed with what the table, as it is now (null: gone), needs. An empty list: all is well. */
export function findDrift(installed: InstalledCapture, description: TableDescription | null): readonly Drift[] {
  if (description === null) return [tableGone(installed)];
  const fatal = [...capturableDrift(description), ...keyDrift(installed, description), ...queueDrift(installed)];
  if (fatal.length > 0) return fatal;
  const layout = queueLayout(description, installed.key);
  return [
    ...typeDrift(installed, description.table, layout),
    ...functionDrift(installed, description, layout),
    ...triggerDrift(installed, description),
    ...goneDrift(installed, description),
  ];
}

function tableGone(installed: InstalledCapture): Drift {
  const name = showTable(installed.table);
  const now = installed.triggers.find((trigger) => installed.relations.some(({ oid }) => oid === trigger.relationOid));
  const what = now === undefined ? 'is gone' : `is now called ${showTable(now.relation)}`;
  return {
    kind: 'tableGone',
    message: `Table ${name} ${what}.`,
    advice: `Stop replicating it (pgrep remove-table ${name})${now === undefined ? '' : `, or give it its name back`}.`,
    repairable: false,
    relation: null,
  };
}

function capturableDrift(description: TableDescription): readonly Drift[] {
  return attempt('notCapturable', description.table, () => {
    checkCapturable(description);
  });
}

function keyDrift(installed: InstalledCapture, description: TableDescription): readonly Drift[] {
  return attempt('keyLost', description.table, () => chooseKey(description, installed.key));
}

function attempt(kind: DriftKind, relation: TableName, check: () => unknown): readonly Drift[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof PgrepError)) throw error;
    return [{ kind, message: error.message, advice: error.hint ?? '', repairable: false, relation }];
  }
}

function queueDrift({ queueTypes, table, tableId }: InstalledCapture): readonly Drift[] {
  if (queueTypes.length > 0) return [];
  const name = showTable(table);
  const message = `The queue pgrep.queue_${tableId} of table ${name} is gone: changes cannot be captured and writes to the table fail.`;
  return [
    {
      kind: 'queueGone',
      message,
      advice: `Run pgrep remove-table ${name}, then pgrep add-table again.`,
      repairable: false,
      relation: table,
    },
  ];
}

function typeDrift(installed: InstalledCapture, table: TableName, layout: QueueLayout): readonly Drift[] {
  const changed = layout.columns.filter((column, place) => installed.queueTypes[place] !== column.bareType);
  return changed.map((column) => ({
    kind: 'keyType',
    message: `Key column ${column.source} of ${showTable(table)} has another type than its queue: keys may not fit, and then writes to the table fail.`,
    advice: 'pgrep run changes the queue by itself.',
    repairable: true,
    relation: table,
  }));
}

function functionDrift(
  installed: InstalledCapture,
  description: TableDescription,
  layout: QueueLayout,
): readonly Drift[] {
  const partitioned = description.kind === 'partitioned';
  const wanted = triggerFunctions({ tableId: installed.tableId, layout, partitioned });
  if (wanted.every(({ name, body }) => installed.functions[name] === body)) return [];
  return [
    {
      kind: 'functions',
      message: `The trigger functions of ${showTable(description.table)} are not those of this version of pgrep.`,
      advice: 'pgrep run replaces them by itself.',
      repairable: true,
      relation: description.table,
    },
  ];
}

function triggerDrift(installed: InstalledCapture, description: TableDescription): readonly Drift[] {
  return relationsOf(description).flatMap(({ oid, table }): readonly Drift[] => {
    const known = installed.relations.some((relation) => relation.oid === oid);
    const present = installed.triggers.filter((trigger) => trigger.relationOid === oid && trigger.always);
    const missing = neededTriggers(description).filter((name) => !present.some((trigger) => trigger.name === name));
    if (known && missing.length === 0) return [];
    return [known ? brokenTriggers(table, missing) : newPartition(table)];
  });
}

function brokenTriggers(relation: TableName, missing: readonly string[]): Drift {
  return {
    kind: 'triggers',
    message: `Table ${showTable(relation)} lacks the triggers ${missing.join(', ')}, or they are not enabled always: its changes are not captured.`,
    advice:
      'pgrep run restores them by itself and sends the whole table again. On two-way routes what was deleted meanwhile stays at the other nodes: delete it there, too.',
    repairable: true,
    relation,
  };
}

function newPartition(relation: TableName): Drift {
  return {
    kind: 'newPartition',
    message: `Partition ${showTable(relation)} is new: statements that name it directly are not captured yet.`,
    advice: 'pgrep run adds its triggers by itself and sends its rows.',
    repairable: true,
    relation,
  };
}

function goneDrift(installed: InstalledCapture, description: TableDescription): readonly Drift[] {
  const inTree = new Set(relationsOf(description).map(({ oid }) => oid));
  const gone = installed.relations.filter(({ oid }) => !inTree.has(oid));
  return gone.map(({ table }) => ({
    kind: 'partitionGone',
    message: `A partition of ${showTable(description.table)} was ${table === null ? 'dropped' : `detached: ${showTable(table)}`}; its rows are still at the targets.`,
    advice: 'pgrep run deletes them there by itself. On two-way routes they stay: delete them there, too.',
    repairable: true,
    relation: table,
  }));
}
