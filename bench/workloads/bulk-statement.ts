import { performance } from 'node:perf_hooks';
import { withClient } from '../sql.ts';
import { insertRows, updateRows } from '../source-table.ts';
import type { Figures, Trial } from '../trial.ts';
import { until } from '../until.ts';

/** Rows of the bulk workloads at scale 1. */
export const bulkRows = 200_000;

/** One insert of all rows. */
export function bulkInsert(trial: Trial): Promise<Figures> {
  const rows = trial.scaled(bulkRows * trial.contender.bulkShare);
  return bulkStatement(trial, { text: insertRows, values: [rows], rows, n: 0 });
}

/** One update of all rows. */
export function bulkUpdate(trial: Trial): Promise<Figures> {
  const rows = trial.scaled(bulkRows * trial.contender.bulkShare);
  return bulkStatement(trial, { text: updateRows, values: [], rows, n: 1 });
}

/** `statementMs` of the statement itself; `equalMs` from its start until the target holds all `rows` with the new `n`. */
async function bulkStatement(
  trial: Trial,
  job: { readonly text: string; readonly values: readonly number[]; readonly rows: number; readonly n: number },
): Promise<Figures> {
  const { rows, n } = job;
  return withClient(trial.place.sourceUrl, async (client) => {
    // The connection may need a moment for its first statement (catalog caches).
    await client.query('select count(*) from bench.item where id = 0');
    const begin = performance.now();
    await client.query(job.text, [...job.values]);
    const statementMs = performance.now() - begin;
    const statement = { rows, statementMs, statementMicrosPerRow: (statementMs * 1000) / rows };
    if (!trial.contender.follows) return statement;
    // The last row is looked at often because it costs little; only when it is there are all of them counted.
    await until(async () => (await trial.replica.has(rows, n)) && (await trial.replica.count(n)) === rows, {
      what: `${rows} rows are equal at the target`,
      deadlineMs: 300_000,
      pauseMs: 5,
    });
    const equalMs = performance.now() - begin;
    return { ...statement, equalMs, rowsPerSecond: rows / (equalMs / 1000) };
  });
}
