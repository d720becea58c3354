import { initNodes } from '../../app/init.ts';
import type { InitResult } from '../../app/results.ts';
import type { Command } from '../command.ts';
import { formatSql, printResult } from '../print/result.ts';
import { formatTable } from '../print/table.ts';

/** `pgrep init`: creates or upgrades the schema `pgrep` in the Postgres nodes. */
export const init: Command = {
  path: ['init'],
  usage: '[NODE…]',
  describe: 'Create or upgrade the schema "pgrep" in the Postgres nodes (default: all)',
  arguments: { least: 0, most: Infinity },
  options: {},
  examples: ['pgrep init', 'pgrep init local --dry-run'],
  run: async (input, context) => {
    const nodes = input.arguments.length === 0 ? {} : { nodes: input.arguments };
    const result = await context.withApp(
      async (app) => await initNodes(app, { ...nodes, dryRun: context.dryRun }, context.signal),
    );
    printResult(context, result, context.dryRun ? ({ sql }) => formatSql(sql) : formatInit);
    return 0;
  },
};

function formatInit({ nodes }: InitResult): string {
  return formatTable(
    nodes,
    [
      { title: 'NODE', text: ({ node }) => node },
      { title: 'ID', text: ({ nodeId }) => String(nodeId), align: 'right' },
      { title: 'SCHEMA', text: ({ change }) => change },
    ],
    null,
  );
}
