import type { WaitResult } from '../../app/results.ts';
import { waitForTargets } from '../../app/wait.ts';
import { errorCodes } from '../../core/error.ts';
import { showLink } from '../../core/route.ts';
import type { Command } from '../command.ts';
import { given } from '../input.ts';
import { formatSeconds } from '../print/human.ts';
import { printResult } from '../print/result.ts';

/** `pgrep wait`: returns when everything committed before the call has arrived or is held. */
export const wait: Command = {
  path: ['wait'],
  usage: '[--to NODE] [--timeout SECONDS]',
  describe: 'Wait until all that is committed by now has reached the targets, or is held',
  arguments: { least: 0, most: 0 },
  options: {
    to: { kind: 'text', value: 'NODE', describe: 'Only this target (default: all)' },
    timeout: {
      kind: 'number',
      value: 'SECONDS',
      describe: 'Give up after so long, with exit status 3 (default: never)',
    },
  },
  examples: ['pgrep wait --timeout 60'],
  run: async (input, context) => {
    const options = { ...given('to', input.text('to')), timeoutSeconds: input.number('timeout', 0) ?? null };
    const result = await context.withApp(async (app) => await waitForTargets(app, options, context.signal));
    printResult(context, result, formatWaited);
    return result.reached ? 0 : errorCodes.no;
  },
};

function formatWaited({ reached, behind, seconds }: WaitResult): string {
  if (reached) return `All changes have arrived (${formatSeconds(seconds)}).\n`;
  return `After ${formatSeconds(seconds)} still behind: ${behind.map(showLink).join(', ')}. See pgrep status.\n`;
}
