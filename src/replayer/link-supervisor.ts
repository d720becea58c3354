import { backoffMs } from '../core/backoff.ts';
import { PgrepError } from '../core/error.ts';
import type { Logger } from '../core/logger.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import type { Link } from '../core/route.ts';
import { releaseLease, tryLease } from '../db/lease.ts';
import type { Session } from '../db/session.ts';
import type { Doorbell } from '../queue/doorbell.ts';
import { decideLinkFailure } from './failure-decision.ts';
import { LinkLoop, type LoopObserver, type LoopSettings } from './link-loop.ts';
import { LinkSession, type LinkConnections } from './link-session.ts';
import { reportLink } from './link-state.ts';

export interface SupervisedLink {
  readonly link: Link;
  readonly connections: LinkConnections;
  /** Session at the source that holds the lease; when it is lost, so is the lease. */
  readonly leaseSession: Session;
  readonly doorbell: Doorbell;
  readonly settings: LoopSettings;
  readonly observer: LoopObserver;
  readonly logger: Logger;
}

/** Keeps one link replayed until `signal` aborts: waits for the lease, replays, and after a failure backs off and begins again. */
export async function superviseLink(supervised: SupervisedLink, signal: AbortSignal): Promise<void> {
  const { link, leaseSession, logger } = supervised;
  let failures = 0;
  while (!signal.aborted && !leaseSession.lost.aborted) {
    if (!(await tryLease(leaseSession, link.target))) {
      await pause(leaseMs, signal);
      continue;
    }
    logger.info({}, 'replaying');
    const begun = monotonicMs();
    try {
      await replay(supervised, AbortSignal.any([signal, leaseSession.lost]));
    } catch (error) {
      if (signal.aborted || leaseSession.lost.aborted) break;
      await supervised.doorbell.clear().catch(() => undefined);
      failures = monotonicMs() - begun > steadyMs ? 1 : failures + 1;
      await recover(supervised, error, failures, signal);
    }
    if (!leaseSession.lost.aborted) await releaseLease(leaseSession, link.target).catch(() => undefined);
  }
}

async function replay(supervised: SupervisedLink, signal: AbortSignal): Promise<void> {
  await using session = await LinkSession.open(supervised.link, supervised.connections);
  const { doorbell, settings, observer, logger } = supervised;
  // A statement at a server that does not answer must not hold up the end; what it does there is fenced.
  const close = (): void => void session[Symbol.asyncDispose]();
  signal.addEventListener('abort', close, { once: true });
  await new LinkLoop({ session, doorbell, settings, observer, logger }).run(signal);
}

async function recover(
  supervised: SupervisedLink,
  error: unknown,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  const decision = decideLinkFailure(error);
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof PgrepError && error.hint !== undefined ? ` ${error.hint}` : '';
  switch (decision) {
    case 'back-off':
      supervised.logger.warn({ failures }, `${message} Nothing is lost: changes wait in the queue.`);
      break;
    case 'stop':
      supervised.logger.error({ code: error instanceof PgrepError ? error.code : '' }, `stopped: ${message}${hint}`);
      break;
    case 'bug':
      supervised.logger.error({ err: error }, `unexpected: ${message}`);
      break;
  }
  const state = decision === 'stop' ? 'stopped' : 'retrying';
  await reportLink(supervised.leaseSession, supervised.link.target, { state, lastError: `${message}${hint}` }).catch(
    () => undefined,
  );
  if (decision === 'stop') await pause(stoppedMs, signal);
  else if (await supervised.connections.targetListens()) await pause(backoffMs(failures, { baseMs: 50 }), signal);
  else await untilListening(supervised.connections, signal);
}

/** Waits for a server that is down to accept connections again: asks often at first, seldom once it has been down for long. */
async function untilListening(connections: LinkConnections, signal: AbortSignal): Promise<void> {
  const begun = monotonicMs();
  do {
    const downMs = monotonicMs() - begun;
    await pause(Math.min(Math.max(downMs / 200, 10), 1_000), signal);
  } while (!signal.aborted && !(await connections.targetListens()));
}

// A standby asks for the lease this often: with the server's notice of a dead connection it takes over well within 10 s.
const leaseMs = 2_000;
// A link that ran this long before it failed starts its backoff afresh.
const steadyMs = 30_000;
// A stopped link looks again this often whether it was mended.
const stoppedMs = 10_000;
