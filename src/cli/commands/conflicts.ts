import { findConflict, listConflicts, type ConflictsListResult } from '../../app/conflicts.ts';
import { restoreConflict, type ConflictSideName } from '../../app/restore-conflict.ts';
import { errorCodes } from '../../core/error.ts';
import type { Command, Context } from '../command.ts';
import { given, type Input } from '../input.ts';
import { parseTableName } from '../names.ts';
import { formatConflict, formatConflictTable, formatRestored } from '../print/conflict.ts';
import { formatSql, printResult, printWarnings } from '../print/result.ts';

const sides = ['local', 'remote'] as const satisfies readonly ConflictSideName[];

const node = { kind: 'text', value: 'NODE', describe: 'The node that found the conflict' } as const;

/** `pgrep conflicts list`: concurrent changes that the nodes have found. Status 4 when a node could not be asked. */
export const conflictsList: Command = {
  path: ['conflicts', 'list'],
  usage: '[--node NODE] [--table TABLE] [--limit N]',
  describe: 'List concurrent changes of one row that the nodes have found, newest first',
  arguments: { least: 0, most: 0 },
  options: {
    node: { ...node, describe: 'Only what this node has found' },
    table: { kind: 'text', value: 'TABLE', describe: 'Only conflicts in this table' },
    limit: { kind: 'number', value: 'N', describe: 'At most so many' },
  },
  examples: ['pgrep conflicts list', 'pgrep conflicts list --node remote --table local.loc_test --json'],
  run: async (input, context) => {
    const table = input.text('table');
    const options = {
      ...given('node', input.text('node')),
      ...given('table', table === undefined ? undefined : parseTableName(table)),
      ...given('limit', input.number('limit', 1)),
    };
    const result = await context.withApp(async (app) => await listConflicts(app, options, context.signal));
    printResult(context, result, (found) => formatList(found, context));
    printWarnings(
      context,
      result.unreachable.map((name) => `Node ${name} cannot be reached: what it has found is not shown.`),
    );
    return result.unreachable.length === 0 ? 0 : errorCodes.unreachable;
  },
};

/** `pgrep conflicts show`: both versions of one conflict. */
export const conflictsShow: Command = {
  path: ['conflicts', 'show'],
  usage: 'ID [--node NODE]',
  describe: 'Show one conflict: both versions with node and time, both rows, and what stands',
  arguments: { least: 1, most: 1 },
  options: { node },
  examples: ['pgrep conflicts show 3 --node remote'],
  run: async (input, context) => {
    const { conflict } = await context.withApp(async (app) => await findConflict(app, which(input)));
    printResult(context, conflict, formatConflict);
    return 0;
  },
};

/** `pgrep conflicts restore`: writes the version that lost back, as a new change. */
export const conflictsRestore: Command = {
  path: ['conflicts', 'restore'],
  usage: 'ID [--node NODE] [--keep local|remote]',
  describe: 'Write the version that lost back, as a new change that all nodes receive',
  arguments: { least: 1, most: 1 },
  options: {
    node,
    keep: {
      kind: 'text',
      value: 'SIDE',
      describe: 'local: what the node had, or remote: what arrived there (default: what lost)',
    },
  },
  examples: ['pgrep conflicts restore 3 --node remote', 'pgrep conflicts restore 4 --node local --keep remote'],
  run: async (input, context) => {
    const options = { ...which(input), ...given('keep', input.choice('keep', sides)), dryRun: context.dryRun };
    const result = await context.withApp(async (app) => await restoreConflict(app, options, context.signal));
    printResult(context, result, () => (context.dryRun ? formatSql(result.sql) : formatRestored(result)));
    return 0;
  },
};

function which(input: Input): { id: string; node?: string } {
  return { id: input.arguments[0] ?? '', ...given('node', input.text('node')) };
}

function formatList({ conflicts, unreachable }: ConflictsListResult, context: Context): string {
  if (conflicts.length === 0) return unreachable.length === 0 ? 'No conflicts.\n' : '';
  const table = formatConflictTable(conflicts, context.console.columns);
  return `${table}\nBoth rows: pgrep conflicts show ID --node NODE\n`;
}
