import type { RetryResult } from '../../app/results.ts';
import { retryErrors } from '../../app/retry-errors.ts';
import { errorCodes } from '../../core/error.ts';
import type { Command, Context } from '../command.ts';
import { given } from '../input.ts';
import { formatErrorTable } from '../print/error-record.ts';
import { count } from '../print/human.ts';
import { printResult } from '../print/result.ts';

/** The lineage's `deal_sync_err_rec` was called with this many by default. */
const defaultLimit = 500;

/** `pgrep retry-errors`: tries refused rows again, as they are now. */
export const retryErrorsCommand: Command = {
  path: ['retry-errors'],
  usage: '[--limit N] [--to NODE]',
  describe: 'Try the oldest refused rows of one target again, as they are now',
  arguments: { least: 0, most: 0 },
  options: {
    limit: { kind: 'number', value: 'N', describe: `At most so many, in one batch (default: ${defaultLimit})` },
    from: { kind: 'text', value: 'NODE', describe: 'Only records that this source keeps' },
    to: { kind: 'text', value: 'NODE', describe: 'This target (default: the one with the oldest record)' },
  },
  examples: ['pgrep retry-errors --limit 500', 'pgrep retry-errors --to es'],
  run: async (input, context) => {
    const to = input.text('to');
    const options = {
      limit: input.number('limit', 1) ?? defaultLimit,
      ...given('from', input.text('from')),
      ...given('to', to),
      dryRun: context.dryRun,
    };
    const result = await context.withApp(async (app) => await retryErrors(app, options, context.signal));
    printResult(context, result, () =>
      context.dryRun ? formatPlan(result, options.limit, context) : formatRetried(result, context),
    );
    if (context.dryRun) return 0;
    const left = to === undefined ? result.remainingTotal : result.remaining.length;
    return left === 0 ? 0 : errorCodes.no;
  },
};

function formatPlan({ target, remaining }: RetryResult, limit: number, context: Context): string {
  if (target === null) return 'No rows are held.\n';
  const due = remaining.slice(0, limit);
  return `Would try ${count(due.length, 'record')} of ${target} again:\n\n${formatErrorTable(due, context.console.columns)}`;
}

function formatRetried(result: RetryResult, context: Context): string {
  const { target, tried, succeeded, remaining, remainingTotal } = result;
  if (target === null) return remainingTotal === 0 ? 'No rows are held.\n' : othersRemain(remainingTotal);
  const records = formatErrorTable(remaining, context.console.columns);
  const head = `Tried ${count(tried, 'record')} of ${target}: ${succeeded} succeeded, ${tried - succeeded} did not.\n`;
  const others = remainingTotal - remaining.length;
  if (remaining.length === 0) return head + othersRemain(others);
  return `${head}${count(remaining.length, 'record remains', 'records remain')} for ${target}:\n\n${records}${others > 0 ? '\n' : ''}${othersRemain(others)}`;
}

function othersRemain(others: number): string {
  return others > 0 ? `${count(others, 'record remains', 'records remain')} elsewhere: pgrep errors list\n` : '';
}
