import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { tableIdent } from '../db/quote.ts';
import { nextValue, type KeySequence } from './key-sequences.ts';

/** What a sequence is to be set to. */
export interface SequencePlan {
  readonly increment: bigint;
  readonly start: bigint;
  readonly next: bigint;
}

/**
 * How far apart the numbers of one node are: fixed, so that a node that joins changes nothing at the others. 256 has a class for each
 * of the 255 node ids; a column of 4 bytes would be used up after 8 million rows of a node, so there are 32 classes for those, which
 * leaves 67 million.
 */
export function strideOf(sequences: readonly KeySequence[]): bigint {
  return sequences.some(({ max }) => max <= 2147483647n) ? 32n : 256n;
}

/** True: whatever the sequence gives, now, later and after TRUNCATE … RESTART IDENTITY, no other node's sequence gives. */
export function isInterleaved(sequence: KeySequence, stride: bigint): boolean {
  const { increment, start, cycle, nodeId } = sequence;
  const isOwn = (value: bigint): boolean => (value - BigInt(nodeId)) % stride === 0n;
  return increment === stride && !cycle && isOwn(start) && isOwn(nextValue(sequence));
}

/** True when two sequences can give the same number, from where they are or after they are restarted. */
export function mayCollide(one: KeySequence, other: KeySequence): boolean {
  const step = greatestDivisor(one.increment, other.increment);
  const begins = (sequence: KeySequence): readonly bigint[] => [nextValue(sequence), sequence.start];
  return begins(one).some((value) => begins(other).some((otherValue) => (value - otherValue) % step === 0n));
}

function greatestDivisor(one: bigint, other: bigint): bigint {
  return other === 0n ? one : greatestDivisor(other, one % other);
}

/**
 * Where a sequence has to go on when no value up to `highest` may come again at any node.
 * Throws `table` when the column cannot hold it, when it counts down, or when the node's id has no class.
 */
export function planSequence(sequence: KeySequence, stride: bigint, highest: bigint): SequencePlan {
  const { nodeId, min, max, increment } = sequence;
  if (BigInt(nodeId) >= stride) throw noClass(sequence, stride);
  if (increment < 0n) throw countsDown(sequence);
  const own = (least: bigint): bigint => least + positive(BigInt(nodeId) - least, stride);
  const next = own(highest + 1n > min ? highest + 1n : min);
  const start = own(min);
  if (next > max) throw usedUp(sequence, highest);
  return { increment: stride, start, next };
}

/** `alter sequence` without its position: takes the lock under which the position is read. */
export function alterSql(sequence: TableName, { increment, start }: SequencePlan): string {
  return `alter sequence ${tableIdent(sequence)} increment by ${increment} start with ${start} no cycle`;
}

/** How many more numbers the node has. */
export function numbersLeft({ max }: KeySequence, { increment, next }: SequencePlan): bigint {
  return (max - next) / increment + 1n;
}

function positive(value: bigint, stride: bigint): bigint {
  return ((value % stride) + stride) % stride;
}

function noClass({ node, nodeId, table, column }: KeySequence, stride: bigint): PgrepError {
  return new PgrepError(
    'table',
    `Column ${column} of ${showTable(table)} holds less than 8 bytes, so its numbers are dealt to ${stride - 1n} nodes, and ${node} has the id ${nodeId}.`,
    { hint: `Make it bigint at every node: alter table ${tableIdent(table)} alter column ${column} type bigint;` },
  );
}

function countsDown({ node, sequence }: KeySequence): PgrepError {
  return new PgrepError('table', `Sequence ${showTable(sequence)} of node ${node} counts down, which cannot be interleaved.`, {
    hint: `Make it count up: alter sequence ${tableIdent(sequence)} increment by 1 minvalue 1 no maxvalue;`,
  }); // prettier-ignore
}

function usedUp({ node, table, column, max }: KeySequence, highest: bigint): PgrepError {
  return new PgrepError(
    'table',
    `Column ${column} of ${showTable(table)} at ${node} has no numbers left: ${highest} is in use and ${max} is the highest.`,
    { hint: `Make it bigint at every node: alter table ${tableIdent(table)} alter column ${column} type bigint;` },
  );
}
