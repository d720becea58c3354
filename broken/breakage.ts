import { PgrepError } from '../src/core/error.ts';
import type { Finding } from '../src/torture/check/judge.ts';
import type { Topology } from '../src/torture/options.ts';

/** The steps of docs/two-way.md that can be broken; `control`: nothing is. */
export type Step = 'control' | 'clock' | 'turns' | 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'prune' | 'source';

/** One exact text of one file, and what stands in its place in a broken copy. */
export interface Edit {
  /** Path below the project's folder. */
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

/** One thing that is taken away from the algorithm. */
export interface Breakage {
  /** Unique; begins with the step. */
  readonly name: string;
  readonly step: Step;
  /** What is missing then, as a clause for a table. */
  readonly broken: string;
  readonly edits: readonly Edit[];
  /** How nodes are linked in the first, second, … run, over and over; absent: a mesh, a star, a chain. */
  readonly topologies?: readonly Topology[];
  /** The gravest finding must be of one of these checks; absent: `equal`, `winner`, `recorded`. Others may have been found for another reason. */
  readonly by?: readonly Finding['check'][];
}

/** The file's text with the edit made. Throws `usage` unless the text is there exactly once: then the list no longer fits the source. */
export function edited(content: string, { file, text, replacement }: Edit): string {
  const [before = '', after, ...more] = content.split(text);
  if (after !== undefined && more.length === 0) return `${before}${replacement}${after}`;
  const times = after === undefined ? 'not in it' : `in it ${more.length + 1} times`;
  throw new PgrepError('usage', `${file} cannot be broken: the text that is to be replaced is ${times}: ${text}`, {
    hint: 'Bring the list in broken/steps/ in line with the source: what is taken away must be there exactly once.',
  });
}
