import { createInterface } from 'node:readline/promises';
import type { Console } from './console.ts';

/** The console of this process. */
export function processConsole(): Console {
  const { stdout, stderr, stdin, env } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outIsTerminal: stdout.isTTY,
    errIsTerminal: stderr.isTTY,
    columns: stdout.isTTY ? stdout.columns : null,
    colour: stderr.isTTY && (env.NO_COLOR ?? '') === '',
    env,
    ask: async (question, signal) => {
      if (!stdin.isTTY || !stderr.isTTY) return null;
      const dialogue = createInterface({ input: stdin, output: stderr });
      try {
        return await dialogue.question(question, { signal });
      } finally {
        dialogue.close();
      }
    },
  };
}

/** A reader that closes our output early (`| head`) has what it wants: that is no error. */
export function endQuietlyOnClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

/** Conventional status of a program that a signal ended: 128 and the signal's number. */
const statusBySignal = { SIGINT: 130, SIGTERM: 143 } as const;

/** Aborted by the first SIGINT or SIGTERM; the second one ends the process at once. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** The exit status that the signal calls for; null while none came. */
  status(): number | null;
}

/** Listens to the signals that ask a program to end. */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  let status: number | null = null;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(statusBySignal[name]);
      status = statusBySignal[name];
      controller.abort();
    });
  }
  return { signal: controller.signal, status: () => status };
}
