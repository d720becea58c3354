import { connections } from '../load/generator.ts';
import type { Figures, Trial } from '../trial.ts';
import { timed, until } from '../until.ts';

/** Single-row insert transactions on all connections: `tps` at the source, then `behindMs` until the target is equal. */
export async function singleInserts(trial: Trial): Promise<Figures> {
  const transactionsEach = Math.ceil(trial.scaled(20_000) / connections);
  const { transactions, perSecond } = await trial.load.run({
    url: trial.place.sourceUrl,
    mix: 'inserts',
    until: { transactionsEach },
    preloadedRows: 0,
    scratch: trial.place.scratch,
  });
  if (!trial.contender.follows) return { tps: perSecond };
  const behindMs = await timed(() =>
    until(async () => (await trial.replica.count()) === transactions, {
      what: `${transactions} rows are at the target`,
      deadlineMs: 300_000,
      pauseMs: 10,
    }),
  );
  return { tps: perSecond, behindMs };
}
