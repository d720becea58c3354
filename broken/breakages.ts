import type { Breakage, Edit } from './breakage.ts';
import { appliers } from './steps/appliers.ts';
import { judging } from './steps/judging.ts';
import { sending } from './steps/sending.ts';
import { settling } from './steps/settling.ts';

/** The unbroken algorithm: in none of its runs may anything be found. */
export const control: Breakage = {
  name: 'control',
  step: 'control',
  broken: 'nothing: the algorithm as it is',
  edits: [],
};

/** All breakages, in the order of the steps. */
export const breakages: readonly Breakage[] = [...appliers, ...judging, ...settling, ...sending];

/**
 * Made in every copy, the control's too: nodes that are not equal after this time will not be. Torture itself waits three minutes for
 * them, and two more for queues to empty, which says nothing about nodes that differ.
 */
export const impatience: readonly Edit[] = [
  { file: 'src/torture/check/collect.ts', text: 'const drainMs = 180_000;', replacement: 'const drainMs = 60_000;' },
  {
    file: 'src/torture/check/collect.ts',
    text: 'empty(cluster, emptyMs, signal)',
    replacement: 'empty(cluster, differencesOf(rows).length > 0 ? 0 : emptyMs, signal)',
  },
  {
    file: 'src/torture/check/collect.ts',
    text: "import { drain, empty } from './settle.ts';",
    replacement: "import { drain, empty } from './settle.ts';\nimport { differencesOf } from './equal.ts';",
  },
];
