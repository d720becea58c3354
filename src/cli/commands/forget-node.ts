import { forgetNode } from '../../app/forget-node.ts';
import type { ForgetNodeResult } from '../../app/results.ts';
import { errorCodes } from '../../core/error.ts';
import type { Command } from '../command.ts';
import { formatNumber } from '../print/human.ts';
import { formatSql, printResult, printWarnings } from '../print/result.ts';
import { formatTable } from '../print/table.ts';

/** `pgrep forget-node`: goes on without a node that is lost for good. */
export const forgetNodeCommand: Command = {
  path: ['forget-node'],
  usage: 'NODE',
  describe: 'Go on without a node that is lost for good',
  arguments: { least: 1, most: 1 },
  options: { force: { kind: 'flag', describe: 'Also when the node answers, or others are linked through it only' } },
  examples: ['pgrep forget-node remote'],
  run: async (input, context) => {
    const options = { node: input.arguments[0] ?? '', force: input.flag('force'), dryRun: context.dryRun };
    const result = await context.withApp(async (app) => await forgetNode(app, options, context.signal));
    printWarnings(context, result.warnings);
    printResult(context, result, context.dryRun ? ({ sql }) => formatSql(sql) : formatForgotten);
    return result.unreachable.length > 0 ? errorCodes.unreachable : 0;
  },
};

function formatForgotten({ nodes }: ForgetNodeResult): string {
  return formatTable(
    nodes,
    [
      { title: 'AT', text: ({ node }) => node },
      { title: 'STATE', text: ({ change }) => change },
      { title: 'ROUTES REMOVED', text: ({ routesRemoved }) => formatNumber(routesRemoved), align: 'right' },
      { title: 'KEYS EXCHANGED', text: ({ queuedKeys }) => formatNumber(queuedKeys), align: 'right' },
    ],
    null,
  );
}
