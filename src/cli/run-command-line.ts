import { secretTexts } from '../config/config.ts';
import type { Context } from './command.ts';
import { commands } from './commands/all.ts';
import type { Console } from './console.ts';
import { createContext } from './context.ts';
import { parseArguments } from './parse.ts';
import { describeFailure } from './print/failure.ts';

/** The process, as far as a command line needs it. */
export interface Environment {
  readonly console: Console;
  readonly interruption: { readonly signal: AbortSignal; status(): number | null };
  /** Of this program. */
  readonly version: string;
  /** Of Node. */
  readonly node: string;
}

/** Widest help that is still easy to read. */
const widestHelp = 110;

/** Runs what the arguments ask for and gives the exit status. Prints errors; throws nothing. */
export async function runCommandLine(args: readonly string[], environment: Environment): Promise<number> {
  const { console, interruption, version } = environment;
  let context: Context | undefined;
  try {
    const width = Math.min(widestHelp, console.columns ?? widestHelp);
    const request = await parseArguments(args, { commands, version, width });
    if (request.kind === 'text') {
      console.out(request.text);
      return 0;
    }
    const { command, input } = request;
    context = createContext(command, { input, console, signal: interruption.signal });
    const status = await command.run(input, context);
    return status;
  } catch (error) {
    const interrupted = interruption.status();
    if (interrupted !== null) {
      console.err('Interrupted.\n');
      return interrupted;
    }
    const { text, status } = describeFailure(error, {
      // Before the command line is understood, there is only what was typed to go by.
      json: context?.json ?? args.includes('--json'),
      debug: args.includes('debug') || args.includes('--log-level=debug'),
      secrets: knownSecrets(context),
      versions: `pgrep ${version}, Node ${environment.node}`,
    });
    console.err(text);
    return status;
  }
}

function knownSecrets(context: Context | undefined): readonly string[] {
  try {
    return context === undefined ? [] : secretTexts(context.config());
  } catch {
    // The configuration is what failed: its own messages hold no secrets.
    return [];
  }
}
