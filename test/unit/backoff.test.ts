import { expect, test } from 'vitest';
import { backoffMs } from '../../src/core/backoff.ts';

test.each([
  [1, 100, 200],
  [2, 200, 400],
  [5, 1_600, 3_200],
  [8, 7_500, 15_000],
  [1_000_000, 7_500, 15_000],
])(
  'the pause before try %i is spread over %i to %i ms, so that replayers do not come back in step',
  (attempt, least, most) => {
    const pauses = Array.from({ length: 400 }, () => backoffMs(attempt));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
    // 400 draws from the whole range leave neither its lowest nor its highest tenth empty.
    expect(Math.min(...pauses)).toBeLessThan(least + (most - least) / 10);
    expect(Math.max(...pauses)).toBeGreaterThan(most - (most - least) / 10);
  },
);
