import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile } from '../report/statistics.ts';
import { withClient } from '../sql.ts';
import type { Figures, Trial } from '../trial.ts';
import { until } from '../until.ts';

/** From insert to insert: far enough that none waits for the one before; a slower contender gets each when the last has arrived. */
const apartMs = 50;

/**
 * Single inserts, from the answer to the commit until the row can be read at the target by its key; `commitP50Ms` is what
 * the application waits for its insert. A Postgres target is asked without a pause, an index once a millisecond.
 */
export async function latency(trial: Trial): Promise<Figures> {
  const pauseMs = trial.place.target.kind === 'postgres' ? 0 : 1;
  const text = `insert into bench.item (id, info, n) values ($1, 'row of the latency workload', 0)`;
  const commitMs: number[] = [];
  const visibleMs: number[] = [];
  await withClient(trial.place.sourceUrl, async (client) => {
    const start = performance.now();
    for (let id = 1; id <= trial.scaled(200); id += 1) {
      await pause(Math.max(0, start + id * apartMs - performance.now()));
      const begin = performance.now();
      await client.query({ name: 'insert', text, values: [id] });
      const committed = performance.now();
      await until(() => trial.replica.has(id), { what: `row ${id} is at the target`, deadlineMs: 60_000, pauseMs });
      visibleMs.push(performance.now() - committed);
      commitMs.push(committed - begin);
    }
  });
  return {
    p50Ms: percentile(visibleMs, 50),
    p95Ms: percentile(visibleMs, 95),
    p99Ms: percentile(visibleMs, 99),
    commitP50Ms: percentile(commitMs, 50),
  };
}
