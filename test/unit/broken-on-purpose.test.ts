import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { edited, type Breakage } from '../../broken/breakage.ts';
import { breakages, control, impatience } from '../../broken/breakages.ts';
import { parseOptions } from '../../broken/options.ts';
import { reportText } from '../../broken/report.ts';
import type { Run } from '../../broken/run-torture.ts';
import { finds, isProven, topologyOf } from '../../broken/verdict.ts';

const breakage: Breakage = { name: 'c', step: 'c', broken: 'losers are merged', edits: [] };

function run(findings: Run['findings'], check: NonNullable<Run['first']>['check'] | null = null): Run {
  const first = check === null ? null : { check, message: 'a: 1; b: 2', at: null };
  return {
    nodes: 3,
    minutes: 1,
    seed: 4,
    topology: 'mesh',
    first,
    findings,
    discarded: 0,
    conflicts: 0,
    superseded: 0,
    failed: null,
  };
}

function broken(each: Breakage): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const edit of [...impatience, ...each.edits]) {
    files.set(edit.file, edited(files.get(edit.file) ?? readFileSync(edit.file, 'utf8'), edit));
  }
  return files;
}

describe('breakages of the two-way algorithm', () => {
  test.each([control, ...breakages])('$name: what it takes away is in the source exactly once', (each) => {
    const files = broken(each);
    for (const { file, replacement } of each.edits) expect(files.get(file)).toContain(replacement);
  });

  test('there is at least one for each step', () => {
    const steps = new Set(breakages.map(({ step }) => step));
    expect([...steps].sort()).toEqual(['a', 'b', 'c', 'clock', 'd', 'e', 'f', 'prune', 'source', 'turns']);
    expect(new Set(breakages.map(({ name }) => name)).size).toBe(breakages.length);
  });

  test('a text that is missing or there twice is refused, and named', () => {
    const edit = { file: 'x.ts', text: 'and true', replacement: '' };
    expect(edited('where 1 and true;', edit)).toBe('where 1 ;');
    expect(() => edited('where 1', edit)).toThrow('x.ts cannot be broken: the text that is to be replaced is not in it: and true'); // prettier-ignore
    expect(() => edited('and true and true', edit)).toThrow('in it 2 times');
  });

  test('a finding counts where it is of a check that the breakage is to be found by, and links did not stand still', () => {
    expect(finds(breakage, run({ equal: 3, emptied: 1 }, 'equal'))).toBe(true);
    expect(finds(breakage, run({ emptied: 1 }, 'emptied'))).toBe(false);
    expect(finds(breakage, run({ equal: 3, drained: 1 }, 'equal'))).toBe(false);
    expect(finds(breakage, run({ equal: 3, replayer: 1 }, 'equal'))).toBe(false);
    expect(finds({ ...breakage, by: ['equal', 'drained'] }, run({ equal: 3, drained: 1 }, 'equal'))).toBe(true);
    expect(finds({ ...breakage, by: ['recorded'] }, run({ equal: 3 }, 'equal'))).toBe(false);
  });

  test('the control is proven by runs that all find nothing, a breakage by one that finds it', () => {
    expect(isProven({ breakage: control, runs: [run({}), run({})] })).toBe(true);
    expect(isProven({ breakage: control, runs: [] })).toBe(false);
    expect(isProven({ breakage: control, runs: [run({}), { ...run({}), failed: 'no server' }] })).toBe(false);
    expect(isProven({ breakage: control, runs: [run({}), run({ emptied: 1 }, 'emptied')] })).toBe(false);
    expect(isProven({ breakage, runs: [run({})] })).toBe(false);
    expect(isProven({ breakage, runs: [run({}), run({ winner: 1 }, 'winner')] })).toBe(true);
  });

  test('runs go through the topologies', () => {
    expect([0, 1, 2, 3].map((each) => topologyOf(breakage, each))).toEqual(['mesh', 'star', 'chain', 'mesh']);
    expect([0, 1, 2].map((each) => topologyOf({ ...breakage, topologies: ['star'] }, each))).toEqual(['star', 'star', 'star']); // prettier-ignore
  });

  test('the report says after how many runs which check found it, and what was not found', () => {
    const text = reportText([
      { breakage: control, runs: [run({})] },
      { breakage, runs: [run({}), run({ equal: 1 }, 'equal')] },
      { breakage: { ...breakage, name: 'd' }, runs: [run({})] },
    ]);
    expect(text).toContain('| c | losers are merged | 2 (seed 4, mesh) | `equal`: a: 1; b: 2 |');
    expect(text).toContain('| d | losers are merged | not in 1 |  |');
    expect(text).toContain('Not as it should be: d.');
  });

  test('--only takes steps and single breakages, and names what it does not know', () => {
    const names = (only: string): readonly string[] => parseOptions(['--only', only]).chosen.map(({ name }) => name);
    expect(names('c,f')).toEqual(['c', 'f']);
    expect(names('a')).toEqual(['a-lock', 'a-lock-d']);
    expect(names('b-sidecar')).toEqual(['b-sidecar']);
    expect(() => parseOptions(['--only', 'x'])).toThrow('--only x: no step or breakage.');
    expect(() => parseOptions(['--runs', '0'])).toThrow('--runs 0: not a whole number from 1.');
  });
});
