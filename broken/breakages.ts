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

const settle = 'src/torture/check/settle.ts';
const collect = 'src/torture/check/collect.ts';

/**
 * Made in every copy, the control's too. Torture waits three minutes for nodes to become equal, and two more for queues to empty; in these
 * copies it gives up when nothing is on its way and rows have stayed as they are for twenty looks (of half a second and more, a fold comes every
 * five), and does not wait for the queues of nodes that differ.
 */
export const impatience: readonly Edit[] = [
  { file: settle, text: "let before = '';", replacement: "let before = '';\n  let still = 0;" },
  {
    file: settle,
    text: `before = now;
    if (monotonicMs() > end) return`,
    replacement: `still = behind === null && now === before ? still + 1 : 0;
    before = now;
    if (monotonicMs() > end || still > 20) return`,
  },
  {
    file: collect,
    text: 'empty(cluster, emptyMs, signal)',
    replacement: 'empty(cluster, differencesOf(rows).length > 0 ? 0 : emptyMs, signal)',
  },
  {
    file: collect,
    text: "import { drain, empty } from './settle.ts';",
    replacement: "import { drain, empty } from './settle.ts';\nimport { differencesOf } from './equal.ts';",
  },
];
