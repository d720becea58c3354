import type { Breakage } from '../breakage.ts';

/** Before step a: the clock, and one applier after the other. */
export const appliers: readonly Breakage[] = [
  {
    name: 'clock',
    step: 'clock',
    broken: 'the clock is not raised to versions that arrive',
    edits: [
      { file: 'sql/routines/raise_clock.sql', text: "perform setval('pgrep.clock', micros);", replacement: 'null;' },
    ],
  },
  {
    name: 'turns',
    step: 'turns',
    broken: 'appliers of one table do not take turns',
    edits: [
      {
        file: 'src/targets/postgres/two-way/two-way-batch.ts',
        text: '`select pg_catalog.pg_advisory_xact_lock(${arrivalLock}, ${id})`',
        replacement: '`select ${id}`',
      },
    ],
  },
];
