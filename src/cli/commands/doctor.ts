import { runDoctor } from '../../app/doctor/doctor.ts';
import { errorCodes } from '../../core/error.ts';
import type { Command } from '../command.ts';
import { given } from '../input.ts';
import { formatDoctor } from '../print/doctor.ts';
import { printResult } from '../print/result.ts';
import { refuseDryRun } from '../refuse-dry-run.ts';

/** `pgrep doctor`: what will or may go wrong. Status 3 when it finds errors, 4 when a node cannot be reached, 5 by the schema's version. */
export const doctor: Command = {
  path: ['doctor'],
  usage: '[--node NODE]',
  describe: 'Look for what will or may go wrong, and say what to type; exit status 3 when there are errors',
  arguments: { least: 0, most: 0 },
  options: { node: { kind: 'text', value: 'NODE', describe: 'Only what is about this node' } },
  examples: ['pgrep doctor', 'pgrep doctor --node remote --json'],
  run: async (input, context) => {
    refuseDryRun(context, 'doctor', 'It changes nothing: pgrep doctor');
    const options = given('node', input.text('node'));
    const result = await context.withApp(async (app) => await runDoctor(app, options, context.signal));
    printResult(context, result, formatDoctor);
    return result.verdict === null ? 0 : errorCodes[result.verdict];
  },
};
