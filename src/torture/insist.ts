import { monotonicMs, pause } from '../core/timing.ts';
import type { Say } from './options.ts';

/** Repeats work that may fail because of a fault under way, saying why, until it succeeds; after two minutes its error is thrown. */
export async function insist<Result>(work: () => Promise<Result>, say: Say, signal: AbortSignal): Promise<Result> {
  const end = monotonicMs() + deadlineMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || monotonicMs() > end) throw error;
      say(`  again, because: ${error instanceof Error ? error.message : String(error)}`);
      await pause(againMs, signal);
    }
  }
}

// Servers are away for seconds, silence is noticed after half a minute.
const deadlineMs = 120_000;
// A killed server is away for seconds.
const againMs = 500;
