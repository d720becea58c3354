import { monotonicMs, pause } from '../core/timing.ts';

/** Repeats work that may fail because of a fault under way, until it succeeds; after `deadlineMs` its error is thrown. */
export async function insist<Result>(
  work: () => Promise<Result>,
  signal: AbortSignal,
  deadlineMs = 120_000,
): Promise<Result> {
  const end = monotonicMs() + deadlineMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || monotonicMs() > end) throw error;
      await pause(againMs, signal);
    }
  }
}

// A killed server is away for seconds.
const againMs = 250;
