/**
 * How long a link rests after a batch before it looks again, ms. Under a steady stream of small transactions this gathers more
 * of them into each batch and leaves the cores to the application, most of the time (W1: 0.75 of plain instead of 0.65);
 * a lone change never waits, since the rest is over long before it comes.
 */
export function restMs(batchMs: number): number {
  return Math.min(maxRestMs, batchMs * 8);
}

// Bounds what a steady stream adds to the latency.
const maxRestMs = 100;

/** True when a commit must be flushed: at least every `flushMs`, so that queues can be emptied up to it. */
export function isFlushDue(nowMs: number, lastFlushMs: number): boolean {
  return nowMs - lastFlushMs >= flushMs;
}

const flushMs = 5_000;

/** Exponentially weighted keys a second: about the last ten batches count. */
export function smoothRate(before: number, keys: number, ms: number): number {
  const now = (keys * 1000) / Math.max(ms, 1);
  return before === 0 ? now : before * 0.9 + now * 0.1;
}
