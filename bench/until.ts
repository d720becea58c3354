import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { PgrepError } from '../src/core/error.ts';

/**
 * Resolves once `condition` gives true; throws `no` naming `what` when the deadline passes first.
 * `pauseMs` 0 asks again at once, which keeps one core busy: only for latencies.
 */
export async function until(
  condition: () => Promise<boolean>,
  options: { readonly what: string; readonly deadlineMs: number; readonly pauseMs: number },
): Promise<void> {
  const deadline = performance.now() + options.deadlineMs;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new PgrepError('no', `${options.what}: not so after ${Math.round(options.deadlineMs / 1000)} s`);
    }
    if (options.pauseMs > 0) await pause(options.pauseMs);
  }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
