import type { Figures, Trial } from '../trial.ts';
import { timed, until } from '../until.ts';

/** Rows that updates and deletes choose among, at scale 1. */
export const mixedRows = 50_000;

/** Inserts, updates and deletes at 70/20/10 for 20 s: `tps` at the source, then `behindMs` until the target is equal. */
export async function mixed(trial: Trial): Promise<Figures> {
  const { perSecond } = await trial.load.run({
    url: trial.place.sourceUrl,
    mix: 'mixed',
    until: { seconds: trial.scaled(20) },
    preloadedRows: trial.scaled(mixedRows),
    scratch: trial.place.scratch,
  });
  if (!trial.contender.follows) return { tps: perSecond };
  const behindMs = await timed(() =>
    until(async () => (await trial.replica.difference()) === null, {
      what: 'the target is equal',
      deadlineMs: 300_000,
      // A look reads both tables, so it must not be the main load.
      pauseMs: 250,
    }),
  );
  return { tps: perSecond, behindMs };
}
