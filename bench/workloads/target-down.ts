import { connections } from '../load/generator.ts';
import type { Figures, Trial } from '../trial.ts';
import { timed, until } from '../until.ts';

/**
 * Changes while the target's server is stopped: `tps` meanwhile, then `equalMs` from the moment that it accepts connections;
 * `startMs` is what its start took before that.
 */
export async function targetDown(trial: Trial): Promise<Figures> {
  const transactionsEach = Math.ceil(trial.scaled(5_000) / connections);
  let startMs = 0;
  await trial.targetServer.stop();
  const { transactions, perSecond } = await trial.load
    .run({
      url: trial.place.sourceUrl,
      mix: 'inserts',
      until: { transactionsEach },
      preloadedRows: 0,
      scratch: trial.place.scratch,
    })
    .finally(async () => {
      startMs = await timed(() => trial.targetServer.start());
    });
  const equalMs = await timed(async () => {
    await trial.attached.recover?.();
    await until(async () => (await trial.replica.count()) === transactions, {
      what: `${transactions} rows are at the target`,
      deadlineMs: 120_000,
      pauseMs: 10,
    });
  });
  return { tps: perSecond, startMs, equalMs };
}
