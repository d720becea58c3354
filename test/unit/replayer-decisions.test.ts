import { describe, expect, it } from 'vitest';
import { PgrepError, errorCodes, type ErrorCode } from '../../src/core/error.ts';
import { decideLinkFailure, type LinkDecision } from '../../src/replayer/failure-decision.ts';
import { isFlushDue, restMs, smoothRate } from '../../src/replayer/pacing.ts';
import { parentsFirst } from '../../src/targets/postgres/table-order.ts';
import type { TargetTable } from '../../src/targets/postgres/target-table.ts';

const decisions: Readonly<Record<ErrorCode, LinkDecision>> = {
  bug: 'bug',
  usage: 'stop',
  config: 'stop',
  table: 'stop',
  privilege: 'stop',
  route: 'stop',
  target: 'stop',
  sourceReplaced: 'stop',
  clock: 'stop',
  no: 'stop',
  unreachable: 'back-off',
  overloaded: 'back-off',
  schema: 'stop',
};

describe('a link that failed', () => {
  it.each(Object.entries(decisions))('by %s does: %s', (code, decision) => {
    expect(Object.keys(errorCodes)).toContain(code);
    expect(decideLinkFailure(new PgrepError(code as ErrorCode, 'it failed'))).toBe(decision);
  });

  it('by an error of the language itself counts as a bug', () => {
    expect(decideLinkFailure(new TypeError('x is not a function'))).toBe('bug');
    expect(decideLinkFailure('thrown text')).toBe('bug');
  });
});

describe('pacing', () => {
  it('rests eight times as long as a small batch took and never longer than 100 ms', () => {
    expect(restMs(3)).toBe(24);
    expect(restMs(2_000)).toBe(100);
  });

  it('flushes every five seconds', () => {
    expect(isFlushDue(4_999, 0)).toBe(false);
    expect(isFlushDue(5_000, 0)).toBe(true);
  });

  it('follows a change of rate without jumping', () => {
    expect(smoothRate(0, 500, 1_000)).toBe(500);
    expect(smoothRate(1_000, 0, 1_000)).toBe(900);
  });
});

describe('tables of a batch', () => {
  const table = (oid: string, references: readonly string[] = []): TargetTable =>
    ({ oid, references }) as unknown as TargetTable;
  const order = (tables: readonly TargetTable[]): readonly string[] => parentsFirst(tables).map((each) => each.oid);

  it('come parents first, whatever order they had', () => {
    const chain = [table('line', ['order']), table('order', ['customer']), table('customer')];
    expect(order(chain)).toEqual(['customer', 'order', 'line']);
  });

  it('of a cycle each come once', () => {
    expect([...order([table('a', ['b']), table('b', ['a']), table('c', ['a'])])].sort()).toEqual(['a', 'b', 'c']);
  });

  it('may reference tables that are not replicated', () => {
    expect(order([table('a', ['elsewhere'])])).toEqual(['a']);
  });
});
