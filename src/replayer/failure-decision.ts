import { PgrepError } from '../core/error.ts';

/**
 * What a link does after it failed. `back-off`: the other side is down or busy, it comes back by itself. `stop`: only a person can
 * mend it; looked at again every ten seconds, so that mending needs no restart. `bug`: unexpected; as `back-off`, but logged with its stack.
 */
export type LinkDecision = 'back-off' | 'stop' | 'bug';

/** Decides by the error's code alone. */
export function decideLinkFailure(error: unknown): LinkDecision {
  if (!(error instanceof PgrepError)) return 'bug';
  switch (error.code) {
    case 'unreachable':
    case 'overloaded':
      return 'back-off';
    case 'usage':
    case 'config':
    case 'table':
    case 'privilege':
    case 'route':
    case 'target':
    case 'sourceReplaced':
    case 'clock':
    case 'no':
    case 'schema':
      return 'stop';
    case 'bug':
      return 'bug';
  }
}
