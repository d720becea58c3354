import type { ContenderName, WorkloadName } from '../trial.ts';

/** One column of a workload's table: a figure, or with `against` its ratio to that contender's. */
export interface Column {
  readonly label: string;
  readonly figure: string;
  readonly against?: ContenderName;
  readonly digits: number;
}

const throughput: readonly Column[] = [
  { label: 'tx/s', figure: 'tps', digits: 0 },
  { label: 'of none', figure: 'tps', against: 'none', digits: 2 },
  { label: 'then equal after, ms', figure: 'behindMs', digits: 0 },
];

const bulk: readonly Column[] = [
  { label: 'rows', figure: 'rows', digits: 0 },
  { label: 'statement, ms', figure: 'statementMs', digits: 0 },
  { label: 'a row, of none', figure: 'statementMicrosPerRow', against: 'none', digits: 2 },
  { label: 'rows/s until equal', figure: 'rowsPerSecond', digits: 0 },
  { label: 'of native', figure: 'rowsPerSecond', against: 'native', digits: 2 },
];

const latency: readonly Column[] = [
  { label: 'p50, ms', figure: 'p50Ms', digits: 1 },
  { label: 'p95, ms', figure: 'p95Ms', digits: 1 },
  { label: 'p99, ms', figure: 'p99Ms', digits: 1 },
  { label: 'commit p50, ms', figure: 'commitP50Ms', digits: 1 },
];

/** What is shown of each workload. */
export const columns: Readonly<Record<WorkloadName, readonly Column[]>> = {
  W1: throughput,
  W2: bulk,
  W3: bulk,
  W4: throughput,
  W5: latency,
  W6: [
    { label: 'equal after, ms', figure: 'equalMs', digits: 0 },
    { label: 'of native', figure: 'equalMs', against: 'native', digits: 2 },
    { label: 'start before, ms', figure: 'startMs', digits: 0 },
    { label: 'tx/s while down', figure: 'tps', digits: 0 },
  ],
  'ES-copy': [
    { label: 'documents', figure: 'rows', digits: 0 },
    { label: 'ms', figure: 'copyMs', digits: 0 },
    { label: 'whole command, ms', figure: 'commandMs', digits: 0 },
    { label: 'documents/s', figure: 'rowsPerSecond', digits: 0 },
    { label: 'of bulk loop', figure: 'rowsPerSecond', against: 'bulk loop', digits: 2 },
  ],
  'ES-W1': throughput,
  'ES-W5': latency,
};
