import { describe, expect, it } from 'vitest';
import { cutSnapshot, parseSnapshot, showSnapshot, type Snapshot } from '../../src/core/position.ts';
import { PgrepError } from '../../src/core/error.ts';
import { unseenCondition } from '../../src/queue/unseen.ts';

/** The definition, transaction by transaction: PostgreSQL's pg_visible_in_snapshot. */
function sees(snapshot: Snapshot, xid: bigint): boolean {
  return xid < snapshot.xmax && !snapshot.xip.includes(xid);
}

/** Snapshots over a handful of transactions, so that every case occurs. */
function randomSnapshots(seed: number, count: number): readonly Snapshot[] {
  let state = seed;
  const next = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  return Array.from({ length: count }, () => {
    const xmax = BigInt(3 + next(12));
    const xip = Array.from({ length: 12 }, (_, index) => BigInt(index + 3)).filter(
      (xid) => xid < xmax && next(3) === 0,
    );
    return { xmin: xip[0] ?? xmax, xmax, xip };
  });
}

const xids = Array.from({ length: 20 }, (_, index) => BigInt(index + 3));

describe('a position', () => {
  it('is read and shown as PostgreSQL does it', () => {
    for (const text of ['1:1:', '795:799:795,797', '18446744073709551614:18446744073709551615:18446744073709551614']) {
      expect(showSnapshot(parseSnapshot(text))).toBe(text);
    }
  });

  it.each(['', '1', '1:2', '1:2:x', '1:2:3,', "1:2:3'"])('refuses %j, which is none', (text) => {
    expect(() => parseSnapshot(text)).toThrow(PgrepError);
  });

  it('cut before a transaction sees exactly what the whole one sees below it (G2, G4)', () => {
    for (const snapshot of randomSnapshots(7, 300)) {
      for (const cutoff of xids) {
        const cut = cutSnapshot(snapshot, cutoff);
        for (const xid of xids) expect(sees(cut, xid)).toBe(sees(snapshot, xid) && xid < cutoff);
        expect(cut.xip.every((xid) => xid >= cut.xmin && xid < cut.xmax)).toBe(true);
      }
    }
  });

  it('gives a condition without a list where no transaction was open, so that one index range serves it', () => {
    expect(unseenCondition('9:9:', null)).toBe("q.xid >= '9'::xid8");
    expect(unseenCondition('5:9:5,7', '12')).toBe(
      "(q.xid >= '9'::xid8 or q.xid = any ('{5,7}'::xid8[])) and q.xid < '12'::xid8",
    );
  });
});
