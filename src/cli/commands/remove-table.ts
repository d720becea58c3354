import { removeTable } from '../../app/remove-table.ts';
import type { RemoveTableResult } from '../../app/results.ts';
import { showTable } from '../../core/route.ts';
import type { Command } from '../command.ts';
import { given } from '../input.ts';
import { formatSql, printResult, printWarnings } from '../print/result.ts';
import { showTargetTable } from './add-table.ts';

/** `pgrep remove-table`: ends a table's replication; the target keeps its rows. */
export const removeTableCommand: Command = {
  path: ['remove-table'],
  usage: 'TABLE [--to NODE,…]',
  describe: 'Stop replicating a table; the target keeps the rows it has',
  arguments: { least: 1, most: 1 },
  options: {
    from: { kind: 'text', value: 'NODE', describe: 'Source node (default: "home" of the configuration)' },
    to: { kind: 'list', value: 'NODE,…', describe: 'Only these targets (default: all)' },
  },
  examples: ['pgrep remove-table local.loc_test --to es'],
  run: async (input, context) => {
    const options = {
      table: input.table(),
      ...given('from', input.text('from')),
      ...given('to', input.names('to')),
      dryRun: context.dryRun,
    };
    const result = await context.withApp(async (app) => await removeTable(app, options, context.signal));
    printWarnings(context, result.warnings);
    printResult(context, result, context.dryRun ? ({ sql }) => formatSql(sql) : formatRemoved);
    return 0;
  },
};

function formatRemoved({ removed, captureDropped, captureDroppedAt }: RemoveTableResult): string {
  const routes = removed.map(
    (route) =>
      `${showTable(route.sourceTable)} is no longer replicated from ${route.source} to ${route.target} ` +
      `(${showTargetTable(route)} keeps its rows).\n`,
  );
  if (captureDroppedAt.length === 0) return routes.join('');
  const onlyHere = captureDropped && captureDroppedAt.length === 1;
  return `${routes.join('')}Its triggers and its queue are dropped${onlyHere ? '' : ` at ${captureDroppedAt.join(', ')}`}.\n`;
}
