import type { App } from '../app/open.ts';
import type { Config } from '../config/config.ts';
import type { OnBatch } from '../core/applied-batch.ts';
import type { Logger } from '../core/logger.ts';
import type { LogLevel } from '../observe/logger.ts';
import type { Console } from './console.ts';
import type { Input } from './input.ts';

/** One option of a command. `text` and `number` stand at most once, `list` may be repeated, `flag` takes no value. */
export interface OptionSpec {
  readonly kind: 'text' | 'list' | 'number' | 'flag';
  /** What stands for the value in the help: `NODE`. */
  readonly value?: string;
  readonly describe: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** One command: what it takes, for the parser and the help, and what it does. */
export interface Command {
  /** `['errors', 'list']` for `pgrep errors list`. */
  readonly path: readonly string[];
  /** What follows the path in the help: `TABLE --to NODE`. */
  readonly usage: string;
  readonly describe: string;
  /** How many arguments may stand besides options. */
  readonly arguments: { readonly least: number; readonly most: number };
  readonly options: OptionSpecs;
  readonly examples: readonly string[];
  /** What is logged unless `--log-level` says otherwise; default `warn`: a result needs no commentary. */
  readonly logLevel?: LogLevel;
  /** Does the work and prints it; gives the exit status. */
  run(input: Input, context: Context): Promise<number>;
}

/** What a command works with. */
export interface Context {
  readonly console: Console;
  /** Aborted when the user or the system asks the program to end. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly dryRun: boolean;
  /** As the user named it, for messages. */
  readonly configPath: string;
  /** Reads and checks the configuration. */
  config(): Config;
  /** Logs to standard error, cleaned of the configuration's secrets. */
  logger(): Logger;
  /** Opens the application for `work` and closes its connections after. `onBatch` is told of the daemon's batches. */
  withApp<Result>(work: (app: App) => Promise<Result>, hooks?: { readonly onBatch: OnBatch }): Promise<Result>;
}
