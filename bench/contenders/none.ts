import type { Contender } from '../trial.ts';

/** No replication: what the source does when it is left alone. */
export const none: Contender = {
  name: 'none',
  follows: false,
  bulkShare: 1,
  attach: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
};
