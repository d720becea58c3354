import { discardErrors, listErrors, showError } from '../../app/errors.ts';
import type { ErrorRecord } from '../../app/results.ts';
import { PgrepError } from '../../core/error.ts';
import type { Command, Context } from '../command.ts';
import { given } from '../input.ts';
import { parseTableName } from '../names.ts';
import { count } from '../print/human.ts';
import { formatErrorRecord, formatErrorTable } from '../print/error-record.ts';
import { printResult } from '../print/result.ts';

const from = { kind: 'text', value: 'NODE', describe: 'Source node that keeps the records' } as const;

/** `pgrep errors list`: the rows that targets refused. */
export const errorsList: Command = {
  path: ['errors', 'list'],
  usage: '[--to NODE] [--table TABLE] [--limit N]',
  describe: 'List the rows that targets refused, oldest first',
  arguments: { least: 0, most: 0 },
  options: {
    from,
    to: { kind: 'text', value: 'NODE', describe: 'Only records of this target' },
    table: { kind: 'text', value: 'TABLE', describe: 'Only records of this source table' },
    limit: { kind: 'number', value: 'N', describe: 'At most so many' },
  },
  examples: ['pgrep errors list', 'pgrep errors list --to es --json'],
  run: async (input, context) => {
    const table = input.text('table');
    const options = {
      ...given('from', input.text('from')),
      ...given('to', input.text('to')),
      ...given('table', table === undefined ? undefined : parseTableName(table)),
      ...given('limit', input.number('limit', 1)),
    };
    const records = await context.withApp(async (app) => await listErrors(app, options, context.signal));
    printResult(context, records, () => formatList(records, context));
    return 0;
  },
};

/** `pgrep errors show`: one record with its statement. */
export const errorsShow: Command = {
  path: ['errors', 'show'],
  usage: 'ID',
  describe: 'Show one refused row: why, and the statement to try by hand',
  arguments: { least: 1, most: 1 },
  options: { from },
  examples: ['pgrep errors show 17'],
  run: async (input, context) => {
    const [id = ''] = readIds(input.arguments);
    const options = { id, ...given('from', input.text('from')) };
    const record = await context.withApp(async (app) => await showError(app, options, context.signal));
    printResult(context, record, formatErrorRecord);
    return 0;
  },
};

/** `pgrep errors discard`: forgets records; the rows stay different at the target. */
export const errorsDiscard: Command = {
  path: ['errors', 'discard'],
  usage: 'ID…',
  describe: 'Forget refused rows: they stay as they are at the target until they change again',
  arguments: { least: 1, most: Infinity },
  options: { from },
  examples: ['pgrep errors discard 17 18', 'pgrep errors discard 17 --dry-run'],
  run: async (input, context) => {
    const ids = readIds(input.arguments);
    const source = given('from', input.text('from'));
    const records = await context.withApp(async (app) => {
      if (!context.dryRun) return await discardErrors(app, { ids, ...source }, context.signal);
      const found: ErrorRecord[] = [];
      for (const id of ids) found.push(await showError(app, { id, ...source }, context.signal));
      return found;
    });
    const verb = context.dryRun ? 'Would discard' : 'Discarded';
    printResult(context, records, () => `${verb} ${count(records.length, 'record')}.\n${tableOf(records, context)}`);
    return 0;
  },
};

function formatList(records: readonly ErrorRecord[], context: Context): string {
  if (records.length === 0) return 'No rows are held.\n';
  return `${tableOf(records, context)}\nMend what is wrong, then: pgrep retry-errors\n`;
}

function tableOf(records: readonly ErrorRecord[], context: Context): string {
  return formatErrorTable(records, context.console.columns);
}

function readIds(texts: readonly string[]): readonly string[] {
  const ids = texts.flatMap((text) => text.split(','));
  const wrong = ids.find((id) => !/^\d{1,19}$/.test(id));
  if (wrong !== undefined) {
    throw new PgrepError('usage', `${JSON.stringify(wrong)} is not the id of a record.`, {
      hint: 'Ids are the whole numbers in the first column of: pgrep errors list',
    });
  }
  return ids;
}
