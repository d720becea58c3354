import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/torture/random.ts';
import { drawTransaction, type Transaction } from '../../src/torture/workload/operations.ts';

const keys = { hotFrom: 501, hot: 8, all: 2_000, truncates: true };

/** What a writer of this seed does in a run of some minutes. */
function drawn(seed: number): readonly Transaction[] {
  const random = seededRandom(seed, 'writer a 0');
  return Array.from({ length: 5_000 }, () => drawTransaction(random, keys));
}

describe.each([1, 2, 3])('a writer of seed %d', (seed) => {
  const transactions = drawn(seed);
  const operations = transactions.flatMap((each) => each.operations);

  test('inserts, updates, deletes, changes keys, swaps them, writes ranges and truncates, on both tables', () => {
    expect([...new Set(operations.map(({ kind }) => kind))].sort()).toEqual([
      'aside', 'change child key', 'change key', 'cold touch', 'delete', 'delete child', 'flicker', 'held update', 'insert', 'insert child', 'refill', 'set delete', 'set insert', 'set update',
      'set update child', 'swap', 'touch', 'truncate', 'update', 'update child',
    ]); // prettier-ignore
    for (const table of ['parent', 'child']) {
      const texts = operations.map(({ text }) => text).filter((text) => text.includes(`torture.${table}`));
      for (const verb of ['insert into', 'update', 'delete from', 'truncate']) expect(texts.some((text) => text.startsWith(verb))).toBe(true); // prettier-ignore
    }
  });

  test('begins transactions of one to fifteen statements, and holds some open for seconds', () => {
    const lengths = transactions.map((each) => each.operations.length);
    expect(lengths.filter((length) => length === 1).length).toBeGreaterThan(1_000);
    expect(lengths.filter((length) => length > 10).length).toBeGreaterThan(10);
    expect(transactions.filter(({ holdMs }) => holdMs >= 500).length).toBeGreaterThan(20);
    expect(transactions.filter(({ holdMs }) => holdMs === 0).length).toBeGreaterThan(3_000);
  });

  test('writes mostly to the few keys that are hot, and to all others, too', () => {
    const updated = operations.filter(({ kind }) => kind === 'update').map(({ values }) => Number(values[0]));
    const hot = updated.filter((id) => id >= 501 && id <= 508).length;
    expect(hot / updated.length).toBeGreaterThan(0.65);
    expect(hot / updated.length).toBeLessThan(0.85);
    expect(new Set(updated).size).toBeGreaterThan(200);
  });
});
