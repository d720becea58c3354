import type { StageRange } from './apply-sql.ts';

/** A part of a stage as row pointers: blocks and line numbers, both ends as [block, line], the end exclusive. */
export interface TidRange {
  readonly from: Tid;
  readonly to: Tid;
}

export interface Tid {
  readonly block: number;
  readonly line: number;
}

// More line pointers than fit on an 8 kB page (MaxHeapTuplesPerPage is 291).
const maxLine = 300;

/** The whole of a stage of `blocks` pages. */
export function wholeStage(blocks: number): TidRange {
  return { from: { block: 0, line: 0 }, to: { block: blocks, line: 0 } };
}

/** Two halves, or null when the range can hold one row only. */
export function splitRange({ from, to }: TidRange): readonly [TidRange, TidRange] | null {
  if (to.block < from.block || (to.block === from.block && to.line <= from.line)) return null;
  const blocks = to.block - from.block + (to.line > 0 ? 1 : 0);
  if (blocks > 1) {
    const middle = { block: from.block + Math.floor(blocks / 2), line: 0 };
    return [{ from, to: middle }, { from: middle, to }]; // prettier-ignore
  }
  const end = to.line === 0 ? maxLine : to.line;
  if (end - from.line <= 1) return null;
  const middle = { block: from.block, line: Math.floor((from.line + end) / 2) };
  return [{ from, to: middle }, { from: middle, to: to.line === 0 ? { block: from.block, line: maxLine } : to }]; // prettier-ignore
}

/** The form that SQL takes. */
export function sqlRange(range: TidRange): StageRange {
  return { from: showTid(range.from), to: showTid(range.to) };
}

/** `(block,line)` */
export function showTid(tid: Tid): string {
  return `(${tid.block},${tid.line})`;
}
