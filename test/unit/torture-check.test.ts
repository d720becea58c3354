import { describe, expect, test } from 'vitest';
import { discardedOf, unrecordedOf } from '../../src/torture/check/discarded.ts';
import { historiesOf, type Commit, type RecordedConflict } from '../../src/torture/check/history.ts';
import { judge } from '../../src/torture/check/judge.ts';
import { needlessOf } from '../../src/torture/check/needless.ts';
import { endsRight, winnerOf } from '../../src/torture/check/winner.ts';

let ordinals = 0n;

/** `write('a', 10, ['a.1', null])`: node a made the row a.1 with version 10 where the key was absent. */
function write(
  node: string,
  version: number,
  [tag, oldTag]: readonly [string | null, string | null],
  more: Partial<Commit> = {},
): Commit {
  ordinals += 1n;
  const base = { node, ordinal: ordinals, xid: String(ordinals), kind: 'write', table: 't', key: '1', seen: 0n, lost: false } as const; // prettier-ignore
  return { ...base, version: BigInt(version), tag, oldTag, ...more };
}

function truncate(node: string, version: number): Commit {
  return write(node, version, [null, null], { kind: 'truncate', key: null });
}

function historyOf(...log: Commit[]) {
  const found = historiesOf(log).find(({ key }) => key === '1');
  if (found === undefined) throw new Error('no history');
  return found;
}

function conflict(more: Partial<RecordedConflict>): RecordedConflict {
  return { node: 'a', table: 't', key: '1', localVersion: 0n, remoteVersion: 0n, localTag: null, remoteTag: null, verdict: 'remote', ...more }; // prettier-ignore
}

const tags = (commits: readonly Commit[]): readonly (string | null)[] => commits.map(({ tag }) => tag);

describe('histories', () => {
  test('are in the order of versions, whatever the order of the log', () => {
    expect(tags(historyOf(write('b', 30, ['b.1', 'a.1']), write('a', 10, ['a.1', null])).commits)).toEqual([
      'a.1',
      'b.1',
    ]);
  });

  test('take a TRUNCATE in for every key but those that its transaction wrote', () => {
    const other = write('a', 6, ['a.9', null], { key: '2', xid: 'x' });
    const marker = { ...truncate('a', 5), xid: 'x' };
    const histories = historiesOf([write('a', 1, ['a.1', null]), other, marker]);
    expect(histories.map(({ key, commits, emptied }) => [key, commits.length, emptied])).toEqual([['1', 2, []], ['2', 1, [5n]]]); // prettier-ignore
  });

  test('hold keys that nobody wrote', () => {
    expect(historiesOf([], [{ table: 't', key: '7' }])).toEqual([{ table: 't', key: '7', commits: [], emptied: [] }]);
  });
});

describe('the winner', () => {
  test('is the highest version, and nothing else', () => {
    const history = historyOf(write('a', 10, ['a.1', null]), write('b', 20, ['b.1', null]));
    expect([endsRight(history, 'b.1'), endsRight(history, 'a.1'), endsRight(history, null)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('of equal versions of one node is the later one', () => {
    const history = historyOf(write('a', 10, ['a.1', null]), write('a', 10, ['a.2', 'a.1']));
    expect([endsRight(history, 'a.2'), endsRight(history, 'a.1')]).toEqual([true, false]);
  });

  test('may be the TRUNCATE, which leaves nothing', () => {
    const history = historyOf(write('a', 10, ['a.1', null]), truncate('b', 20));
    expect([endsRight(history, null), endsRight(history, 'a.1')]).toEqual([true, false]);
  });

  test('of a forgotten node may stand or not, but only above all that the others wrote', () => {
    const history = historyOf(write('c', 5, ['c.1', null], { lost: true }), write('a', 10, ['a.1', null]), write('c', 20, ['c.2', null], { lost: true })); // prettier-ignore
    expect([endsRight(history, 'c.2'), endsRight(history, 'a.1'), endsRight(history, 'c.1')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('is known by its latest version after it got a fresh one', () => {
    const fresh = write('a', 30, ['a.1', 'a.1'], { kind: 'fresh' });
    const history = historyOf(write('a', 10, ['a.1', null]), write('b', 20, [null, 'b.0']), fresh);
    expect(winnerOf(history, 'a.1')).toBe(fresh);
  });

  test('of a key that nobody wrote is its absence', () => {
    expect(endsRight({ table: 't', key: '1', commits: [], emptied: [] }, null)).toBe(true);
    expect(endsRight({ table: 't', key: '1', commits: [], emptied: [] }, 'x')).toBe(false);
  });
});

describe('discarded versions', () => {
  test('are those that nobody went on from', () => {
    const history = historyOf(
      write('a', 10, ['a.1', null]),
      write('a', 20, ['a.2', 'a.1']),
      write('b', 30, ['b.1', 'a.1']),
    );
    expect(tags(discardedOf(history, 'b.1'))).toEqual(['a.2']);
  });

  test('are none where each write found the one before', () => {
    const history = historyOf(write('a', 10, ['a.1', null]), write('b', 20, [null, 'a.1']), write('a', 30, ['a.2', null], { seen: 20n })); // prettier-ignore
    expect(discardedOf(history, 'a.2')).toEqual([]);
  });

  test('may be deletions that lost to a write that had not seen them', () => {
    const history = historyOf(
      write('a', 10, ['a.1', null]),
      write('b', 20, [null, 'a.1']),
      write('a', 30, ['a.2', 'a.1']),
    );
    expect(discardedOf(history, 'a.2').map(({ version }) => version)).toEqual([20n]);
  });

  test.each([
    ['beside a newer deletion', write('c', 25, [null, 'a.1'])],
    ['beside a newer TRUNCATE', truncate('c', 25)],
    ['before a write that found nothing known', write('c', 25, ['c.1', null])],
    ['before a fresh version', write('c', 25, ['c.1', 'c.1'], { kind: 'fresh' })],
  ])('are not deletions %s', (_, other) => {
    const history = historyOf(write('a', 10, ['a.1', null]), write('b', 20, [null, 'a.1']), other, write('a', 30, ['a.2', other.tag ?? 'a.1'])); // prettier-ignore
    expect(discardedOf(history, 'a.2').filter(({ version }) => version === 20n)).toEqual([]);
  });

  test('are not deletions before a write that found the key absent with an older version: a pruned tombstone leaves that', () => {
    const history = (found: string | null) => historyOf(truncate('b', 5), write('a', 10, ['a.1', null], { seen: 5n }), write('b', 20, [null, 'a.1']), write('a', 30, ['a.2', found], { seen: 10n })); // prettier-ignore
    expect(discardedOf(history(null), 'a.2')).toEqual([]);
    expect(discardedOf(history('a.1'), 'a.2').map(({ version }) => version)).toEqual([20n]);
  });

  test('are not deletions below a TRUNCATE after which the same transaction wrote the row: nodes may get the TRUNCATE before the row', () => {
    const deletion = write('b', 20, [null, 'a.1']);
    const marker = (version: number): Commit => ({ ...truncate('a', version), xid: 'x' });
    const history = (version: number) => historyOf(write('a', 10, ['a.1', null]), deletion, marker(version), write('a', 30, ['a.2', 'a.1'], { xid: 'x' })); // prettier-ignore
    expect(discardedOf(history(29), 'a.2')).toEqual([]);
    expect(discardedOf(history(19), 'a.2').map(({ version }) => version)).toEqual([20n]);
  });

  test('are rows that a concurrent TRUNCATE removed, never the TRUNCATE', () => {
    expect(tags(discardedOf(historyOf(write('a', 10, ['a.1', null]), truncate('b', 20)), null))).toEqual(['a.1']);
    expect(discardedOf(historyOf(truncate('b', 20), write('a', 30, ['a.1', null])), 'a.1')).toEqual([]);
  });

  test('are not rows that a TRUNCATE found', () => {
    const found = write('b', 20, [null, 'a.1'], { kind: 'write' });
    expect(discardedOf(historyOf(write('a', 10, ['a.1', null]), found), null)).toEqual([]);
  });

  test('are never of a forgotten node', () => {
    const history = historyOf(write('c', 10, ['c.1', null], { lost: true }), write('b', 30, ['b.1', null]));
    expect(discardedOf(history, 'b.1')).toEqual([]);
  });
});

describe('a discarded version is recorded', () => {
  const row = write('a', 10, ['a.1', null]);
  const deletion = write('a', 20, [null, 'a.0']);

  test.each<[string, RecordedConflict, number]>([
    ['as the local row', conflict({ localTag: 'a.1' }), 1],
    ['as the row that arrived', conflict({ remoteTag: 'a.1' }), 1],
    ['as a deletion of that version', conflict({ localVersion: 20n }), 1],
    ['not by a version without its row', conflict({ localVersion: 10n, localTag: 'a.7' }), 2],
    ['not as the deletion by a row of that version', conflict({ localVersion: 20n, localTag: 'a.7' }), 2],
  ])('%s', (_, found, left) => {
    expect(unrecordedOf([row, deletion], [found])).toHaveLength(left);
  });
});

describe('a conflict is needless', () => {
  const history = historyOf(
    write('a', 10, ['a.1', null]),
    write('b', 20, [null, 'a.1']),
    write('b', 30, ['b.1', null], { seen: 20n }),
    write('c', 25, ['c.1', 'a.1']),
    write('c', 40, ['c.2', null], { seen: 0n }),
  );

  const between = (local: readonly [number, string | null], remote: readonly [number, string | null]): RecordedConflict => conflict({ localVersion: BigInt(local[0]), localTag: local[1], remoteVersion: BigInt(remote[0]), remoteTag: remote[1] }); // prettier-ignore

  test.each([
    ['between a row and what was made of it', between([10, 'a.1'], [30, 'b.1']), 1],
    ['also when the older one arrives late', between([30, 'b.1'], [10, 'a.1']), 1],
    ['between a deletion and the row after it', between([20, null], [30, 'b.1']), 1],
    ['not between two that came from one', between([25, 'c.1'], [30, 'b.1']), 0],
    ['not where nobody knows what was seen', between([20, null], [40, 'c.2']), 0],
    ['not where an older row was given a newer version', between([35, 'a.1'], [30, 'b.1']), 0],
  ])('%s', (_, recorded, needless) => {
    expect(needlessOf(history, [recorded])).toHaveLength(needless);
  });

  test('not with a row that another node wrote again as it was', () => {
    const touched = historyOf(
      write('a', 10, ['a.1', null]),
      write('b', 30, ['a.1', 'a.1']),
      write('c', 20, ['c.1', 'a.1']),
    );
    expect(needlessOf(touched, [between([30, 'a.1'], [20, 'c.1'])])).toEqual([]);
  });
});

test.each([
  ['one TRUNCATE', () => null],
  ['the same two statements', (key: string) => `b.${key}`],
] as const)('needless conflicts of %s at one node count once', (_, tag) => {
  const keys = ['1', '2', '3'];
  const log = keys.flatMap((key) => [write('a', 10, [`a.${key}`, null], { key }), write('b', 20, [tag(key), `a.${key}`], { key, seen: 10n, xid: 'x' })]); // prettier-ignore
  const recorded = keys.map((key) => conflict({ key, localVersion: 10n, localTag: `a.${key}`, remoteVersion: 20n, remoteTag: tag(key) })); // prettier-ignore
  const { superseded, findings } = judge({ rows: new Map([['a', []]]), behind: null, kept: [], log, conflicts: recorded, ended: [] }); // prettier-ignore
  expect(superseded).toBe(1);
  expect(findings.filter(({ check }) => check === 'needless')).toHaveLength(3);
});
