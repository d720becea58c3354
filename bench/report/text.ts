import type { Measurement } from '../run-trial.ts';
import type { Workload } from '../trial.ts';
import { columns, type Column } from './columns.ts';
import type { Spread } from './statistics.ts';
import { answer, judge, type Verdict } from './summary.ts';

/** The whole report: a table for each workload that was tried, what failed, then the aims. */
export function reportText(workloads: readonly Workload[], measurements: readonly Measurement[]): string {
  const tried = workloads.filter(({ name }) => measurements.some((one) => one.workload === name));
  const parts = tried.map((workload) => workloadText(workload, measurements));
  return [...parts, failuresText(measurements), aimsText(judge(measurements))]
    .filter((part) => part !== '')
    .join('\n\n');
}

function workloadText(workload: Workload, measurements: readonly Measurement[]): string {
  const { name } = workload;
  const contenders = workload.contenders
    .map((contender) => contender.name)
    .filter((contender) => measurements.some((one) => one.workload === name && one.contender === contender));
  const header = ['', ...columns[name].map(({ label }) => label)];
  const rows = contenders.map((contender) => [
    contender,
    ...columns[name].map((column) => cell(column, answer(measurements, { workload: name, contender, ...column }))),
  ]);
  const lines = [`${name}  ${workload.title}`, ...table([header, ...rows])];
  const cpu = answer(measurements, { workload: name, contender: 'pgrep', figure: 'daemonCpuS' });
  const peak = answer(measurements, { workload: name, contender: 'pgrep', figure: 'daemonPeakMb' });
  if (cpu !== null && peak !== null) {
    lines.push(`  pgrep's process: ${number(cpu.median, 1)} s of CPU, at most ${number(peak.max, 0)} MB`);
  }
  return lines.join('\n');
}

function failuresText(measurements: readonly Measurement[]): string {
  const failed = measurements.filter((one) => one.failed !== null);
  return failed
    .map((one) => `FAILED  ${one.workload} ${one.contender}, round ${one.round}: ${one.failed ?? ''}`)
    .join('\n');
}

function aimsText(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return '';
  const rows = verdicts.map(({ aim, reached, verdict }) => [
    aim.workload,
    aim.text,
    `${aim.bound} ${aim.limit}`,
    reached === null ? '-' : range(reached, 2),
    verdict,
  ]);
  return ['Aims', ...table([['', '', 'aim', 'pgrep', ''], ...rows])].join('\n');
}

function cell(column: Column, value: Spread | null): string {
  if (value === null) return '-';
  return column.against === undefined ? number(value.median, column.digits) : range(value, column.digits);
}

/** `median (min–max)`, or one number where all rounds agree. */
function range(value: Spread, digits: number): string {
  const [middle, min, max] = [value.median, value.min, value.max].map((one) => number(one, digits));
  return min === max ? `${middle}` : `${middle} (${min}–${max})`;
}

function number(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Lines with columns aligned: the first two to the left where they hold words, figures to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((text, at) =>
      isWord(rows, at) ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0),
    );
    return `  ${cells.join('   ')}`.trimEnd();
  });
}

function isWord(rows: readonly (readonly string[])[], at: number): boolean {
  return rows.slice(1).some((row) => /^[A-Za-z]/.test(row[at] ?? ''));
}
