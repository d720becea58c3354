import { openApp } from '../app/open.ts';
import { loadConfig, secretTexts } from '../config/config.ts';
import type { Config } from '../config/config.ts';
import { nearest } from '../config/nearest.ts';
import { PgrepError } from '../core/error.ts';
import type { Logger } from '../core/logger.ts';
import { createLogger, logLevels } from '../observe/logger.ts';
import type { LogLevel } from '../observe/logger.ts';
import type { Command, Context } from './command.ts';
import type { Console } from './console.ts';
import type { Input } from './input.ts';

/** Makes what a command works with. The configuration is read when it is first needed, and once. */
export function createContext(
  command: Command,
  { input, console, signal }: { input: Input; console: Console; signal: AbortSignal },
): Context {
  const configPath = input.text('config') ?? (console.env.PGREP_CONFIG || './pgrep.json');
  const level = readLevel(input.text('log-level')) ?? command.logLevel ?? 'warn';
  let loaded: Config | undefined;
  const config = (): Config => (loaded ??= loadConfig(configPath, console.env));
  let made: Logger | undefined;
  const logger = (): Logger =>
    (made ??= createLogger({
      level,
      pretty: console.errIsTerminal,
      colour: console.colour,
      secrets: secretTexts(config()),
    }));
  return {
    console,
    signal,
    json: input.flag('json'),
    dryRun: input.flag('dry-run'),
    configPath,
    config,
    logger,
    withApp: async (work, hooks) => {
      await using app = openApp({ config: config(), logger: logger(), ...hooks });
      return await work(app);
    },
  };
}

function readLevel(text: string | undefined): LogLevel | undefined {
  if (text === undefined) return undefined;
  const level = logLevels.find((known) => known === text);
  if (level !== undefined) return level;
  const meant = nearest(text, logLevels);
  throw new PgrepError('usage', `--log-level is ${JSON.stringify(text)}.`, {
    hint: meant === null ? `Write one of: ${logLevels.join(', ')}.` : `Did you mean ${meant}?`,
  });
}
