import type { Finding } from '../src/torture/check/judge.ts';
import type { Topology } from '../src/torture/options.ts';
import type { Breakage } from './breakage.ts';
import type { Run } from './run-torture.ts';

/** A breakage with its runs. */
export interface Proof {
  readonly breakage: Breakage;
  readonly runs: readonly Run[];
}

const topologies: readonly Topology[] = ['mesh', 'star', 'chain'];
const usual: readonly Finding['check'][] = ['equal', 'winner', 'recorded'];

/** How nodes are linked in a run, counted from 0. */
export function topologyOf(breakage: Breakage, run: number): Topology {
  const list = breakage.topologies ?? topologies;
  return list[run % list.length] ?? 'mesh';
}

/**
 * True when a run found the breakage: by a check that it is to be found by, and not only because links stood still (then a mistake in what
 * was put in place would do as well as the breakage itself).
 */
export function finds({ by = usual }: Breakage, { first, findings }: Run): boolean {
  if (first === null || !by.includes(first.check)) return false;
  return by.includes('drained') || (findings.drained === undefined && findings.replayer === undefined);
}

/** True when the runs show what they are to show: nothing with the control, the breakage with all others. */
export function isProven({ breakage, runs }: Proof): boolean {
  if (breakage.step === 'control')
    return runs.length > 0 && runs.every((run) => run.first === null && run.failed === null);
  return runs.some((run) => finds(breakage, run));
}
