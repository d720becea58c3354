import type { Options } from './options.ts';
import type { Contender, Workload } from './trial.ts';

/** One trial to come. */
export interface Appointment {
  readonly workload: Workload;
  readonly contender: Contender;
  /** From 1. */
  readonly round: number;
}

/**
 * All trials of a run: workload by workload, each round with every contender once, and each round begins with another
 * contender, so that none always profits from going first.
 */
export function schedule(workloads: readonly Workload[], options: Options): Appointment[] {
  const appointments: Appointment[] = [];
  for (const workload of workloads) {
    if (options.only !== null && !options.only.includes(workload.name)) continue;
    const contenders = workload.contenders.filter(({ name }) => options.contenders?.includes(name) ?? true);
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const contender of rotated(contenders, round - 1)) appointments.push({ workload, contender, round });
    }
  }
  return appointments;
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
