import type { ContenderName, WorkloadName } from '../trial.ts';

/** What pgrep is to reach in one workload: the median over the rounds, of a figure or of its ratio to another contender's. */
export interface Aim {
  readonly workload: WorkloadName;
  /** Absent: `pgrep`. */
  readonly contender?: ContenderName;
  readonly figure: string;
  /** Absent: the figure itself is judged. */
  readonly against?: ContenderName;
  readonly bound: 'at least' | 'at most';
  readonly limit: number;
  readonly text: string;
}

/** The project's aims, with everything on the same two cores. */
export const aims: readonly Aim[] = [
  { workload: 'W1', figure: 'tps', against: 'none', bound: 'at least', limit: 0.65, text: 'source throughput of none' },
  {
    workload: 'W2',
    figure: 'statementMicrosPerRow',
    against: 'none',
    bound: 'at most',
    limit: 1.4,
    text: 'statement time of none',
  },
  {
    workload: 'W2',
    figure: 'rowsPerSecond',
    against: 'native',
    bound: 'at least',
    limit: 0.7,
    text: 'rows/s of native',
  },
  {
    workload: 'W3',
    figure: 'statementMicrosPerRow',
    against: 'none',
    bound: 'at most',
    limit: 1.4,
    text: 'statement time of none',
  },
  { workload: 'W3', figure: 'rowsPerSecond', against: 'native', bound: 'at least', limit: 1, text: 'rows/s of native' },
  { workload: 'W4', figure: 'tps', against: 'none', bound: 'at least', limit: 0.65, text: 'source throughput of none' },
  { workload: 'W5', figure: 'p50Ms', bound: 'at most', limit: 4, text: 'p50 in ms' },
  { workload: 'W5', figure: 'p99Ms', bound: 'at most', limit: 20, text: 'p99 in ms' },
  {
    workload: 'W6',
    figure: 'equalMs',
    against: 'native',
    bound: 'at most',
    limit: 1,
    text: 'time until equal of native',
  },
  {
    workload: 'ES-copy',
    figure: 'rowsPerSecond',
    against: 'bulk loop',
    bound: 'at least',
    limit: 0.8,
    text: 'documents/s of a bulk loop',
  },
  { workload: 'ES-W5', figure: 'p50Ms', bound: 'at most', limit: 12, text: 'p50 in ms' },
  ...(['W1', 'W4'] as const).map((workload): Aim => ({
    workload,
    contender: 'pgrep two-way',
    figure: 'tps',
    against: 'none',
    bound: 'at least',
    limit: 0.65,
    text: 'two-way: source throughput of none',
  })),
  ...(['W2', 'W3'] as const).map((workload): Aim => ({
    workload,
    contender: 'pgrep two-way',
    figure: 'rowsPerSecond',
    against: 'pgrep',
    bound: 'at least',
    limit: 0.6,
    text: 'two-way: rows/s of one-way',
  })),
];
