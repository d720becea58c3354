import { describe, expect, it } from 'vitest';
import { splitRange, wholeStage, type TidRange } from '../../src/targets/postgres/stage-range.ts';

/** All row pointers of a range, in order; a page holds at most 291. */
function pointers(range: TidRange, blocks: number): readonly string[] {
  const all: string[] = [];
  for (let block = 0; block < blocks; block += 1) {
    for (let line = 1; line <= 291; line += 1) {
      const after = block > range.from.block || (block === range.from.block && line >= range.from.line);
      const before = block < range.to.block || (block === range.to.block && line < range.to.line);
      if (after && before) all.push(`(${block},${line})`);
    }
  }
  return all;
}

function leaves(range: TidRange): readonly TidRange[] {
  const halves = splitRange(range);
  return halves === null ? [range] : halves.flatMap(leaves);
}

describe('bisecting a stage', () => {
  it.each([1, 2, 3, 5])('of %i pages ends at single rows and neither loses nor repeats one (G7)', (blocks) => {
    const whole = wholeStage(blocks);
    const single = leaves(whole).map((range) => pointers(range, blocks));
    expect(single.every((rows) => rows.length <= 1)).toBe(true);
    expect(single.flat()).toEqual(pointers(whole, blocks));
  });

  it('of an empty stage ends at once', () => {
    expect(leaves(wholeStage(0)).flatMap((range) => pointers(range, 1))).toEqual([]);
  });
});
