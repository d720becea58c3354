import { pino } from 'pino';
import type { LogFields, Logger } from '../core/logger.ts';
import { prettyLine } from './pretty-line.ts';
import { createRedactor } from './redact.ts';
import type { Redactor } from './redact.ts';

/** From the most to the least talkative. */
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** True: short lines for people; false: one JSON object a line. */
  readonly pretty: boolean;
  /** True: pretty lines carry terminal colours. */
  readonly colour: boolean;
  /** Texts that must never be shown, see `secretTexts` of the configuration. */
  readonly secrets: readonly string[];
  /** Takes finished lines; default standard error, written synchronously so that the last line before an exit is not lost. */
  readonly write?: (line: string) => void;
}

/** Makes the logger of a process. Whatever is logged, also errors with their causes, is cleaned of secrets. */
export function createLogger(options: LoggerOptions): Logger {
  const standardError = pino.destination({ fd: 2, sync: true });
  const write = options.write ?? ((line: string) => void standardError.write(line));
  const destination = {
    write: (line: string) => {
      write(options.pretty ? prettyLine(line, options.colour) : line);
    },
  };
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  return new RedactingLogger(pino(settings, destination), createRedactor(options.secrets));
}

/** Cleans fields only of lines that are written: a debug line in a hot loop costs one comparison. */
class RedactingLogger implements Logger {
  readonly #pino: pino.Logger;
  readonly #redactor: Redactor;

  constructor(to: pino.Logger, redactor: Redactor) {
    this.#pino = to;
    this.#redactor = redactor;
  }

  debug(fields: LogFields, message: string): void {
    this.#write('debug', fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#write('info', fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#write('warn', fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#write('error', fields, message);
  }

  child(fields: LogFields): Logger {
    const clean = this.#redactor.value(fields) as Record<string, unknown>;
    return new RedactingLogger(this.#pino.child(clean), this.#redactor);
  }

  #write(level: 'debug' | 'info' | 'warn' | 'error', fields: LogFields, message: string): void {
    if (!this.#pino.isLevelEnabled(level)) return;
    this.#pino[level](this.#redactor.value(fields), this.#redactor.text(message));
  }
}
