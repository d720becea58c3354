import type { StatusResult } from '../../app/results.ts';
import { status } from '../../app/status.ts';
import { pause } from '../../core/timing.ts';
import type { Command, Context } from '../command.ts';
import { printResult } from '../print/result.ts';
import { formatStatus } from '../print/status.ts';

/** `pgrep status`: what each link does and how far behind it is. */
export const statusCommand: Command = {
  path: ['status'],
  usage: '[--watch]',
  describe: 'Show what each link does and how far behind it is',
  arguments: { least: 0, most: 0 },
  options: {
    watch: { kind: 'flag', describe: 'Show it again and again until interrupted' },
    interval: { kind: 'number', value: 'SECONDS', describe: 'Pause between two looks of --watch (default: 2)' },
  },
  examples: ['pgrep status', 'pgrep status --watch', 'pgrep status --json'],
  run: async (input, context) => {
    const intervalMs = (input.number('interval', 1) ?? 2) * 1000;
    await context.withApp(async (app) => {
      if (!input.flag('watch')) {
        printResult(context, await status(app, context.signal), (result) =>
          formatStatus(result, context.console.columns),
        );
        return;
      }
      while (!context.signal.aborted) {
        showAgain(await status(app, context.signal), context);
        await pause(intervalMs, context.signal);
      }
    });
    return 0;
  },
};

/** From the top of the terminal; else one after the other, with `--json` one object a line. */
function showAgain(result: StatusResult, context: Context): void {
  if (context.json) context.console.out(`${JSON.stringify(result)}\n`);
  else if (context.console.outIsTerminal)
    context.console.out(`\u001b[H\u001b[J${formatStatus(result, context.console.columns)}`);
  else context.console.out(`${formatStatus(result, context.console.columns)}\n`);
}
