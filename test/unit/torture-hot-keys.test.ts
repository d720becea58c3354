import { expect, test } from 'vitest';
import { seededRandom } from '../../src/torture/random.ts';
import { hotFrom } from '../../src/torture/workload/hot-keys.ts';
import { drawTransaction } from '../../src/torture/workload/operations.ts';

test('hot keys move on by halves, and never beyond all keys', () => {
  const keys = { hot: 10, all: 100 };
  expect([0, 499, 500, 1_000].map((atMs) => hotFrom(atMs, keys))).toEqual([1, 1, 6, 11]);
  for (let atMs = 0; atMs < 200_000; atMs += 500) {
    expect(hotFrom(atMs, keys)).toBeGreaterThanOrEqual(1);
    expect(hotFrom(atMs, keys) + keys.hot - 1).toBeLessThanOrEqual(keys.all);
  }
});

test('a writer draws the same kinds of operations wherever the hot keys are, and whether it may truncate or not', () => {
  const kinds = (hotFrom: number, truncates: boolean): readonly string[] => {
    const random = seededRandom(3, 'writer a 0');
    return Array.from({ length: 2_000 }, () =>
      drawTransaction(random, { hotFrom, hot: 8, all: 100, truncates })
        .operations.map(({ kind }) => kind)
        // Two keys are swapped unless they happen to be one.
        .filter((kind) => kind !== 'swap' && (truncates || kind !== 'truncate'))
        .join(),
    );
  };
  const before = kinds(1, true);
  expect(kinds(40, true)).toEqual(before);
  expect(kinds(1, false)).toEqual(before.map((each) => (each.startsWith('truncate') ? '' : each)));
  expect(before).toContain('truncate,refill');
});
