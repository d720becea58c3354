import type { StatusResult } from '../../app/results.ts';
import { status } from '../../app/status.ts';
import { errorCodes } from '../../core/error.ts';
import { pause } from '../../core/timing.ts';
import type { Command, Context } from '../command.ts';
import { printResult } from '../print/result.ts';
import { formatStatus } from '../print/status.ts';

/** `pgrep status`: what each link does and how far behind it is. Status 4 when a node could not be asked, 3 when a link has stopped. */
export const statusCommand: Command = {
  path: ['status'],
  usage: '[--watch]',
  describe: 'Show what each link does and how far behind it is; exit status 3 when a link has stopped',
  arguments: { least: 0, most: 0 },
  options: {
    watch: { kind: 'flag', describe: 'Show it again and again until interrupted' },
    interval: { kind: 'number', value: 'SECONDS', describe: 'Pause between two looks of --watch (default: 2)' },
  },
  examples: ['pgrep status', 'pgrep status --watch', 'pgrep status --json'],
  run: async (input, context) => {
    const intervalMs = (input.number('interval', 1) ?? 2) * 1000;
    return await context.withApp(async (app) => {
      if (!input.flag('watch')) {
        const found = await status(app, context.signal);
        printResult(context, found, (result) => formatStatus(result, context.console.columns));
        return exitStatus(found);
      }
      while (!context.signal.aborted) {
        showAgain(await status(app, context.signal), context);
        await pause(intervalMs, context.signal);
      }
      return 0;
    });
  },
};

// A node that could not be asked first: there may be stopped links that are not shown.
function exitStatus({ links, unreachable }: StatusResult): number {
  if (unreachable.length > 0) return errorCodes.unreachable;
  return links.some(({ state }) => state === 'stopped') ? errorCodes.no : 0;
}

/** From the top of the terminal; else one after the other, with `--json` one object a line. */
function showAgain(result: StatusResult, context: Context): void {
  if (context.json) context.console.out(`${JSON.stringify(result)}\n`);
  else if (context.console.outIsTerminal)
    context.console.out(`\u001b[H\u001b[J${formatStatus(result, context.console.columns)}`);
  else context.console.out(`${formatStatus(result, context.console.columns)}\n`);
}
