import type { Measurement } from '../run-trial.ts';
import type { ContenderName, WorkloadName } from '../trial.ts';
import { aims, type Aim } from './aims.ts';
import { spread, type Spread } from './statistics.ts';

/** Which figure of which contender in which workload; with `against`, its ratio to the other's of the same round. */
export interface Question {
  readonly workload: WorkloadName;
  readonly contender: ContenderName;
  readonly figure: string;
  readonly against?: ContenderName | undefined;
}

/** Over the rounds in which all that is needed succeeded; null where there is none. */
export function answer(measurements: readonly Measurement[], question: Question): Spread | null {
  const { workload, contender, figure, against } = question;
  const good = measurements.filter((one) => one.workload === workload && one.failed === null);
  const values: number[] = [];
  for (const one of good) {
    const value = one.contender === contender ? one.figures[figure] : undefined;
    if (value === undefined) continue;
    if (against === undefined) {
      values.push(value);
      continue;
    }
    const other = good.find((base) => base.contender === against && base.round === one.round)?.figures[figure];
    if (other !== undefined) values.push(value / other);
  }
  return spread(values);
}

/** An aim and whether it was reached; `failed`: a trial of pgrep in that workload failed, so no figure counts. */
export interface Verdict {
  readonly aim: Aim;
  readonly reached: Spread | null;
  readonly verdict: 'pass' | 'miss' | 'failed';
}

/** Judges the aims of those workloads that were tried; an aim whose base was not tried is left out. */
export function judge(measurements: readonly Measurement[]): readonly Verdict[] {
  return aims.flatMap((aim): Verdict[] => {
    const { workload, contender = 'pgrep' } = aim;
    const ours = measurements.filter((one) => one.workload === workload && one.contender === contender);
    const reached = answer(measurements, { ...aim, contender });
    if (ours.some((one) => one.failed !== null)) return [{ aim, reached, verdict: 'failed' }];
    if (reached === null) return [];
    return [{ aim, reached, verdict: isReached(aim, reached.median) ? 'pass' : 'miss' }];
  });
}

function isReached(aim: Aim, value: number): boolean {
  switch (aim.bound) {
    case 'at least':
      return value >= aim.limit;
    case 'at most':
      return value <= aim.limit;
  }
}
