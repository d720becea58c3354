import type { App } from '../../app/open.ts';
import type { UninstallResult } from '../../app/results.ts';
import { uninstall } from '../../app/uninstall.ts';
import { PgrepError } from '../../core/error.ts';
import type { Command, Context } from '../command.ts';
import { formatSql, printResult } from '../print/result.ts';

/** `pgrep uninstall`: removes triggers, queues and the schema `pgrep`; tables and their rows stay. */
export const uninstallCommand: Command = {
  path: ['uninstall'],
  usage: '[NODE…]',
  describe: 'Remove triggers, queues and the schema "pgrep"; your tables and rows stay',
  arguments: { least: 0, most: Infinity },
  options: { yes: { kind: 'flag', describe: 'Do not ask' } },
  examples: ['pgrep uninstall --dry-run', 'pgrep uninstall local --yes'],
  run: async (input, context) => {
    const nodes = input.arguments.length === 0 ? {} : { nodes: input.arguments };
    const result = await context.withApp(async (app) => {
      const plan = await uninstall(app, { ...nodes, dryRun: true }, context.signal);
      if (context.dryRun || !(await confirmed({ yes: input.flag('yes'), plan, context }))) return plan;
      return await uninstallNow(app, nodes, context);
    });
    printResult(context, result, context.dryRun ? ({ sql }) => formatSql(sql) : formatUninstalled);
    return 0;
  },
};

async function uninstallNow(
  app: App,
  nodes: { nodes?: readonly string[] },
  context: Context,
): Promise<UninstallResult> {
  return await uninstall(app, { ...nodes, dryRun: false }, context.signal);
}

async function confirmed(question: { yes: boolean; plan: UninstallResult; context: Context }): Promise<boolean> {
  const { yes, plan, context } = question;
  if (yes || plan.nodes.length === 0) return true;
  context.console.err(
    `This drops, with every change that has not been delivered and every record of a refused row:\n\n`,
  );
  context.console.err(`${formatSql(plan.sql)}\n`);
  const where = plan.nodes.join(', ');
  const answer = await context.console.ask(`Type "yes" to uninstall pgrep from ${where}: `, context.signal);
  if (answer?.trim() === 'yes') return true;
  throw new PgrepError('usage', answer === null ? 'uninstall needs a confirmation.' : 'Nothing was dropped.', {
    hint: `Type pgrep uninstall ${plan.nodes.join(' ')} --yes to drop the above.`,
  });
}

function formatUninstalled({ nodes }: UninstallResult): string {
  return nodes.length === 0 ? 'pgrep is installed nowhere.\n' : `pgrep is removed from ${nodes.join(', ')}.\n`;
}
