import { PgrepError } from '../core/error.ts';
import type { Link } from '../core/route.ts';
import { LinkSession } from '../replayer/link-session.ts';
import { retryOldest, type RetryOutcome } from '../replayer/retry-step.ts';
import { listErrors } from './errors.ts';
import { configuredNode, type App } from './open.ts';
import type { RetryOptions, RetryResult } from './results.ts';

// A daemon's batch may move the fence under a retry; each time the retry reads the rows anew.
const fenceTries = 20;

/**
 * Tries the oldest held rows of the target that has waited longest (or of `to`) again, in one batch, as they are now at the source.
 * Needs no daemon and does no harm beside one.
 */
export async function retryErrors(app: App, options: RetryOptions, signal: AbortSignal): Promise<RetryResult> {
  if (options.to !== undefined) configuredNode(app.config, options.to);
  const filter = {
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.to === undefined ? {} : { to: options.to }),
  };
  const [oldest] = await listErrors(app, { ...filter, limit: 1 }, signal);
  if (oldest === undefined) return { target: null, tried: 0, succeeded: 0, remaining: [], remainingTotal: 0 };
  const link = { source: oldest.source, target: oldest.dst_server };
  const outcome = options.dryRun ? { tried: 0, succeeded: 0 } : await retryLink(app, link, options.limit, signal);
  const left = await listErrors(app, options.from === undefined ? {} : { from: options.from }, signal);
  const remaining = left.filter((record) => record.source === link.source && record.dst_server === link.target);
  return { target: link.target, ...outcome, remaining, remainingTotal: left.length };
}

async function retryLink(app: App, link: Link, limit: number, signal: AbortSignal): Promise<RetryOutcome> {
  await using session = await LinkSession.open(link, app.connections(link));
  await session.loadRoutes(signal);
  for (let attempt = 0; attempt < fenceTries; attempt += 1) {
    const outcome = await retryOldest(session, { limit, all: true }, signal);
    if (outcome.tried > 0) return outcome;
    if (session.live.length === 0) break;
  }
  throw new PgrepError(
    'no',
    `The held rows of ${link.target} could not be tried: the link's tables are being copied, or its batches follow each other too fast.`,
    {
      hint: 'Try again in a moment; a running daemon tries them by itself too.',
    },
  );
}
