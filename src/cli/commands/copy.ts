import { copyTable } from '../../app/copy.ts';
import type { CopyResult } from '../../app/results.ts';
import { showTable } from '../../core/route.ts';
import type { Command } from '../command.ts';
import { given } from '../input.ts';
import { formatNumber, formatSeconds } from '../print/human.ts';
import { printResult } from '../print/result.ts';
import { formatTable } from '../print/table.ts';
import { withProgress } from '../progress.ts';
import { refuseDryRun } from '../refuse-dry-run.ts';

/** `pgrep copy`: finishes a copy that was interrupted, or copies again. */
export const copy: Command = {
  path: ['copy'],
  usage: 'TABLE [--to NODE,…]',
  describe: 'Copy the rows of a replicated table; goes on where an interrupted copy ended',
  arguments: { least: 1, most: 1 },
  options: {
    from: { kind: 'text', value: 'NODE', describe: 'Source node (default: "home" of the configuration)' },
    to: { kind: 'list', value: 'NODE,…', describe: 'Only to these targets (default: all of the table)' },
    restart: { kind: 'flag', describe: 'Begin again from the first row' },
  },
  examples: ['pgrep copy local.loc_test', 'pgrep copy local.loc_test --to es --restart'],
  run: async (input, context) => {
    refuseDryRun(context, 'copy', 'It changes rows only; "pgrep status" shows which tables are being copied.');
    const options = {
      table: input.table(),
      ...given('from', input.text('from')),
      ...given('to', input.names('to')),
      restart: input.flag('restart'),
    };
    const result = await withProgress(
      context.console,
      async (progress) => await context.withApp(async (app) => await copyTable(app, options, progress, context.signal)),
    );
    printResult(context, result, formatCopied);
    return 0;
  },
};

function formatCopied({ tables }: CopyResult): string {
  return formatTable(
    tables,
    [
      { title: 'TABLE', text: ({ route }) => showTable(route.sourceTable) },
      { title: 'FROM', text: ({ route }) => route.source },
      { title: 'TO', text: ({ route }) => route.target },
      { title: 'ROWS COPIED', text: ({ copiedRows }) => formatNumber(copiedRows), align: 'right' },
      { title: 'TIME', text: ({ seconds }) => formatSeconds(seconds), align: 'right' },
    ],
    null,
  );
}
