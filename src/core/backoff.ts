/** Pause before try number `attempt` (1, 2, …), ms: doubles from `baseMs` to `capMs`, with full jitter above half of it. */
export function backoffMs(attempt: number, { baseMs = 200, capMs = 15_000 } = {}): number {
  // 2^16 x 200 ms is far above any cap; bounding the exponent keeps the power finite.
  const full = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 16));
  return full / 2 + Math.random() * (full / 2);
}
