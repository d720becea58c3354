import { setTimeout as timer } from 'node:timers/promises';

/** Waits `ms`, or less: ends at once, without an error, when `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await timer(ms, undefined, { signal }).catch(() => undefined);
}

/** Milliseconds of a clock that never steps back. */
export function monotonicMs(): number {
  return performance.now();
}

/** Calls `task` every `ms` until the returned function is called. Does not keep the process alive. */
export function every(ms: number, task: () => void): () => void {
  const timer = setInterval(task, ms);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

/** Calls `task` once after `ms`, unless the returned function is called before. */
export function after(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms);
  return () => {
    clearTimeout(timer);
  };
}
