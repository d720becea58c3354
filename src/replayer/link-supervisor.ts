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
import { closeLink, openWhenBack, type LinkConnections, type OpenedLink } from './link-opening.ts';
import { LinkSession } from './link-session.ts';
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
  const { link, leaseSession } = supervised;
  const stop = AbortSignal.any([signal, leaseSession.lost]);
  let failures = 0;
  while (!stop.aborted) {
    if (!(await tryLease(leaseSession, link.target))) {
      await pause(leaseMs, signal);
      continue;
    }
    failures = await underLease(supervised, failures, stop);
    if (!leaseSession.lost.aborted) await releaseLease(leaseSession, link.target).catch(() => undefined);
  }
}

/** Replays, and goes on as soon as a target that was down is open again; any other failure gives the lease up. Gives the failures so far. */
async function underLease(supervised: SupervisedLink, before: number, stop: AbortSignal): Promise<number> {
  let failures = before;
  let opened: OpenedLink | null = null;
  do {
    supervised.logger.info({}, 'replaying');
    const begun = monotonicMs();
    try {
      await replay(supervised, opened ?? undefined, stop);
      return failures;
    } catch (error) {
      if (stop.aborted) return failures;
      await supervised.doorbell.clear().catch(() => undefined);
      failures = monotonicMs() - begun > steadyMs ? 1 : failures + 1;
      opened = await recover(supervised, error, failures, stop);
    }
  } while (opened !== null && !stop.aborted);
  if (opened !== null) await closeLink(opened);
  return failures;
}

async function replay(supervised: SupervisedLink, opened: OpenedLink | undefined, signal: AbortSignal): Promise<void> {
  await using session = await LinkSession.open(supervised.link, supervised.connections, opened);
  const { doorbell, settings, observer, logger } = supervised;
  // A statement at a server that does not answer must not hold up the end; what it does there is fenced.
  const close = (): void => void session[Symbol.asyncDispose]();
  signal.addEventListener('abort', close, { once: true });
  try {
    await new LinkLoop({ session, doorbell, settings, observer, logger }).run(signal);
  } finally {
    // The signal outlives the session, by many others when a link fails again and again.
    signal.removeEventListener('abort', close);
  }
}

async function recover(
  supervised: SupervisedLink,
  error: unknown,
  failures: number,
  signal: AbortSignal,
): Promise<OpenedLink | null> {
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
  else return openWhenBack(supervised.link, supervised.connections, signal);
  return null;
}

// A standby asks for the lease this often: with the server's notice of a dead connection it takes over well within 10 s.
const leaseMs = 2_000;
// A link that ran this long before it failed starts its backoff afresh.
const steadyMs = 30_000;
// A stopped link looks again this often whether it was mended.
const stoppedMs = 10_000;
