import { MultiBar } from 'cli-progress';
import type { SingleBar } from 'cli-progress';
import type { CopyProgress } from '../app/results.ts';
import { showTable } from '../core/route.ts';
import { monotonicMs } from '../core/timing.ts';
import type { Console } from './console.ts';
import { formatNumber, formatSeconds } from './print/human.ts';

/** Between two plain lines of one table: a log of an hour's copy stays readable. */
const plainLineMs = 3000;

/**
 * Shows the copies that `work` reports on standard error: bars on a terminal, elsewhere a line every few
 * seconds and one at the end of each table. When it returns, the terminal is free for the result.
 */
export async function withProgress<Result>(
  console: Console,
  work: (progress: CopyProgress) => Promise<Result>,
): Promise<Result> {
  using progress = console.errIsTerminal ? bars() : plainLines(console);
  return await work(progress.report);
}

interface ShownProgress extends Disposable {
  readonly report: CopyProgress;
}

type Step = Parameters<CopyProgress>[0];

function bars(): ShownProgress {
  const format = '{name}  {bar} {percentage}%  {rows} rows  {rate}/s  {left}';
  const all = new MultiBar({ format, hideCursor: true, barsize: 24, barCompleteChar: '█', barIncompleteChar: '░' });
  const byName = new Map<string, SingleBar>();
  return {
    report: (step) => {
      const name = nameOf(step);
      const total = Math.max(1, step.done ? step.rows : Math.max(step.totalRows, step.rows + 1));
      const shown = { name, rows: formatNumber(step.rows), rate: formatNumber(step.rowsPerSecond), left: left(step) };
      const bar = byName.get(name) ?? all.create(total, 0, shown);
      byName.set(name, bar);
      bar.setTotal(total);
      bar.update(step.done && step.rows === 0 ? total : step.rows, shown);
      // Else a table that ends between two redraws would keep its last bar.
      if (step.done) all.update();
    },
    [Symbol.dispose]: () => {
      all.stop();
    },
  };
}

function plainLines(console: Console): ShownProgress {
  const lastMs = new Map<string, number>();
  return {
    report: (step) => {
      const name = nameOf(step);
      const now = monotonicMs();
      const last = lastMs.get(name);
      if (last === undefined) lastMs.set(name, now);
      if (!step.done && (last === undefined || now - last < plainLineMs)) return;
      lastMs.set(name, now);
      const of = step.done ? '' : ` of about ${formatNumber(Math.max(step.totalRows, step.rows))}`;
      console.err(
        `${name}: ${formatNumber(step.rows)}${of} rows, ${formatNumber(step.rowsPerSecond)} rows/s, ${left(step)}\n`,
      );
    },
    [Symbol.dispose]: () => undefined,
  };
}

function nameOf(step: Step): string {
  return `${showTable(step.table)} -> ${step.target}`;
}

function left(step: Step): string {
  if (step.done) return 'done';
  if (step.rowsPerSecond <= 0 || step.totalRows <= step.rows) return 'time left unknown';
  return `${formatSeconds(Math.ceil((step.totalRows - step.rows) / step.rowsPerSecond))} left`;
}
