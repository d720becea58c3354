import { describe, expect, it } from 'vitest';
import { firstNewId } from '../../bench/load/generator.ts';
import { parsePgbench, pgbenchScript } from '../../bench/load/pgbench.ts';
import { parseOptions } from '../../bench/options.ts';
import { median, percentile } from '../../bench/report/statistics.ts';
import { answer, judge } from '../../bench/report/summary.ts';
import type { Measurement } from '../../bench/run-trial.ts';
import { schedule } from '../../bench/schedule.ts';
import { workloads } from '../../bench/workloads/all.ts';

const options = { only: null, contenders: null, rounds: 3, scale: 1, load: null, out: '', help: false };

function measurement(contender: Measurement['contender'], round: number, tps: number | null): Measurement {
  const failed = tps === null ? 'rows were lost' : null;
  return { workload: 'W1', contender, round, figures: tps === null ? {} : { tps }, failed };
}

describe('the report of a benchmark', () => {
  it('takes percentiles by nearest rank and the median of an even number as the mean of the middle two', () => {
    expect(percentile([30, 10, 20, 40], 50)).toBe(20);
    expect(percentile([30, 10, 20, 40], 99)).toBe(40);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([3, 1, 2])).toBe(2);
  });

  it('compares with the other contender of the same round, not with its median', () => {
    const measurements = [
      measurement('none', 1, 1000),
      measurement('pgrep', 1, 800),
      measurement('none', 2, 500),
      measurement('pgrep', 2, 450),
    ];
    const ratio = answer(measurements, { workload: 'W1', contender: 'pgrep', figure: 'tps', against: 'none' });
    expect(ratio).toEqual({ median: (0.8 + 0.9) / 2, min: 0.8, max: 0.9 });
  });

  it('calls an aim failed when one trial lost rows, however good the others were', () => {
    const good = [measurement('none', 1, 1000), measurement('pgrep', 1, 900)];
    expect(judge(good).map(({ verdict }) => verdict)).toEqual(['pass']);
    expect(judge([...good, measurement('pgrep', 2, null)]).map(({ verdict }) => verdict)).toEqual(['failed']);
    expect(judge([...good.slice(0, 1), measurement('pgrep', 1, 100)]).map(({ verdict }) => verdict)).toEqual(['miss']);
  });

  it('judges two-way routes by figures of their own', () => {
    const [, miss] = judge([
      measurement('none', 1, 1000),
      measurement('pgrep', 1, 900),
      measurement('pgrep two-way', 1, 600),
    ]);
    expect(miss).toMatchObject({ aim: { contender: 'pgrep two-way' }, reached: { median: 0.6 }, verdict: 'miss' });
  });

  it('judges nothing where the base of a ratio was not tried', () => {
    expect(judge([measurement('pgrep', 1, 900)])).toEqual([]);
  });
});

describe('the schedule of a benchmark', () => {
  it('tries every contender once a round and begins each round with another one', () => {
    const names = schedule(workloads, { ...options, only: ['W5'], rounds: 2 }).map(({ contender }) => contender.name);
    expect(names).toEqual([
      ...['native', 'dblink', 'pgrep', 'pgrep two-way'],
      ...['dblink', 'pgrep', 'pgrep two-way', 'native'],
    ]);
  });

  it('leaves out contenders and workloads that were not asked for', () => {
    const asked = parseOptions(['--only', 'w1,es-w5', '--contenders', 'pgrep', '--rounds', '1']);
    expect(schedule(workloads, asked).map(({ workload }) => workload.name)).toEqual(['W1', 'ES-W5']);
  });

  it('refuses a name it does not know', () => {
    expect(() => parseOptions(['--only', 'W9'])).toThrow('--only W9: not one of W1, W2');
  });
});

describe('the load', () => {
  it('reads what pgbench did and refuses a report with failed transactions', () => {
    const report = (failed: number): string =>
      `number of transactions actually processed: 20000/20000\nnumber of failed transactions: ${failed} (0%)\n` +
      'tps = 7812.5 (without initial connection time)\n';
    expect(parsePgbench(report(0))).toEqual({ transactions: 20000, perSecond: 7812.5 });
    expect(() => parsePgbench(report(3))).toThrow('pgbench did not do all of its work');
  });

  it('numbers new rows alike in both generators', () => {
    expect(pgbenchScript('insert', 0)).toContain(`(:client_id + 1) * ${firstNewId(0)} + :fresh`);
    expect(pgbenchScript('delete', 50)).toBe(
      '\\set id random(1, 50)\ndelete from bench.item where id = :id::bigint;\n',
    );
  });
});
