import type { InterleavedSequence } from '../../app/sequences.ts';
import { formatTable } from './table.ts';

/** A line for each sequence: what it was set to. */
export function formatSequences(sequences: readonly InterleavedSequence[]): string {
  return formatTable(
    sequences,
    [
      { title: 'NODE', text: ({ node }) => node },
      { title: 'SEQUENCE', text: ({ sequence }) => sequence },
      { title: 'COLUMN', text: ({ table, column }) => `${table}.${column}` },
      { title: 'INCREMENT', text: ({ increment }) => increment, align: 'right' },
      { title: 'NEXT', text: ({ next }) => next, align: 'right' },
      { title: 'CHANGE', text: ({ change }) => change },
    ],
    null,
  );
}
