import { describe, expect, test } from 'vitest';
import type { Commit } from '../../src/torture/check/history.ts';
import { judge, type Evidence, type Finding } from '../../src/torture/check/judge.ts';
import type { NodeRow } from '../../src/torture/check/read-node.ts';

const row = (tag: string, text = `{"tag":"${tag}"}`): NodeRow => ({ table: 't', key: '["1"]', tag, text });

/** Node a wrote the row a.1, and upon it a.2. */
const log: readonly Commit[] = [
  { node: 'a', ordinal: 1n, xid: '1', kind: 'write', table: 't', key: '["1"]', version: 10n, tag: 'a.1', oldTag: null, seen: 0n, lost: false },
  { node: 'a', ordinal: 2n, xid: '2', kind: 'write', table: 't', key: '["1"]', version: 20n, tag: 'a.2', oldTag: 'a.1', seen: 10n, lost: false },
]; // prettier-ignore

const good: Evidence = {
  rows: new Map([
    ['a', [row('a.2')]],
    ['b', [row('a.2')]],
  ]),
  behind: null,
  kept: [
    { node: 'a', queued: 0, versions: 0, held: 0 },
    { node: 'b', queued: 0, versions: 0, held: 0 },
  ],
  log,
  conflicts: [],
  ended: [],
};

/** A write of b that knew of a.1 only. */
const concurrent: Commit = { node: 'b', ordinal: 1n, xid: '3', kind: 'write', table: 't', key: '["1"]', version: 15n, tag: 'b.1', oldTag: 'a.1', seen: 10n, lost: false }; // prettier-ignore

const everywhere = (rows: readonly NodeRow[]): Partial<Evidence> => ({ rows: new Map([['a', rows], ['b', rows]]) }); // prettier-ignore

describe('torture says nothing of a run in which all is well, and else', () => {
  const bad: readonly (readonly [string, Partial<Evidence>, readonly Finding['check'][]])[] = [
    ['nothing', {}, []],
    ['that a node has another row', { rows: new Map([['a', [row('a.2')]], ['b', [row('a.2', '{"tag":"a.2","n":1}')]]]) }, ['equal']], // prettier-ignore
    ['that a node lacks a row', { rows: new Map([['a', [row('a.2')]], ['b', []]]) }, ['equal']], // prettier-ignore
    ['that the last node has a row that no other has', { rows: new Map([['a', []], ['b', []], ['c', [row('a.2')]]]), log: [] }, ['equal']], // prettier-ignore
    ['that an older version stands everywhere', everywhere([row('a.1')]), ['winner', 'recorded']],
    ['that a row is gone that nobody deleted', everywhere([]), ['winner', 'recorded']],
    ['that a row stands that nobody wrote', { ...everywhere([row('x.1')]), log: [] }, ['winner']],
    ['that what lost to a concurrent version is in no conflict', { log: [...log, concurrent] }, ['recorded']],
    ['that a row is held', { kept: [{ node: 'b', queued: 0, versions: 0, held: 1 }] }, ['held']],
    ['that a queue is not empty', { kept: [{ node: 'b', queued: 1, versions: 0, held: 0 }] }, ['emptied']],
    ['that a version is kept', { kept: [{ node: 'b', queued: 0, versions: 1, held: 0 }] }, ['emptied']],
    ['that a link is behind', { behind: 'a->b' }, ['drained']],
    ['that a replayer ended', { ended: ['all (SIGSEGV)'] }, ['replayer']],
  ];

  test.each(bad)('%s', (_, evidence, checks) => {
    expect(judge({ ...good, ...evidence }).findings.map(({ check }) => check)).toEqual(checks);
  });

  test('begins with what is gravest, so that the first key is one in which nodes differ', () => {
    const { findings } = judge({
      ...good,
      behind: 'a->b',
      ended: ['all'],
      log: [...log, concurrent],
      rows: new Map([['a', [row('a.1')]], ['b', []]]), // prettier-ignore
    });
    expect(findings.map(({ check }) => check)).toEqual([
      'equal',
      'winner',
      'recorded',
      'recorded',
      'drained',
      'replayer',
    ]);
    expect(findings[0]).toMatchObject({ at: { table: 't', key: '["1"]' }, message: 'a: {"tag":"a.1"}; b: nothing' });
  });
});
