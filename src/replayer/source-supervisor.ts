import { backoffMs } from '../core/backoff.ts';
import type { Logger } from '../core/logger.ts';
import { pause } from '../core/timing.ts';
import type { Link } from '../core/route.ts';
import { loadLinks } from '../db/route-store.ts';
import type { Session } from '../db/session.ts';
import { Doorbell } from '../queue/doorbell.ts';
import type { LoopObserver, LoopSettings } from './link-loop.ts';
import type { LinkConnections } from './link-opening.ts';
import { superviseLink } from './link-supervisor.ts';

/** What a daemon needs to replay all links of one source. */
export interface SupervisedSource {
  readonly source: string;
  openSession(): Promise<Session>;
  connections(link: Link): LinkConnections;
  /** False leaves a link to another daemon. */
  serves(link: Link): boolean;
  observer(link: Link): LoopObserver;
  readonly settings: LoopSettings;
  readonly logger: Logger;
}

/** Replays all links of a source until `signal` aborts; links that appear meanwhile are taken up, links that vanish are let go. */
export async function superviseSource(source: SupervisedSource, signal: AbortSignal): Promise<void> {
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      await serveSource(source, signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      source.logger.warn({ source: source.source }, error instanceof Error ? error.message : String(error));
      await pause(backoffMs(failures), signal);
    }
  }
}

async function serveSource(source: SupervisedSource, signal: AbortSignal): Promise<void> {
  await using bell = await source.openSession();
  await using leases = await source.openSession();
  const doorbell = await Doorbell.open(bell);
  await leases.script('set synchronous_commit = off');
  const lost = AbortSignal.any([signal, bell.lost, leases.lost]);
  const running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  const close = (): void => {
    bell.destroy();
    leases.destroy();
  };
  signal.addEventListener('abort', close, { once: true });
  try {
    while (!lost.aborted) {
      const links = (await loadLinks(leases, source.source)).filter((link) => source.serves(link));
      for (const link of links) {
        if (running.has(link.target)) continue;
        const started = start(source, { link, leases, doorbell }, lost);
        running.set(link.target, started);
        // One that ended by a failure of its own is taken up again.
        void started.ended.then(() => running.get(link.target) === started && running.delete(link.target));
      }
      for (const [target, link] of running) {
        if (links.some((each) => each.target === target)) continue;
        link.stop.abort();
        await link.ended;
        running.delete(target);
      }
      await pause(discoverMs, lost);
    }
  } finally {
    for (const link of running.values()) link.stop.abort();
    await Promise.all([...running.values()].map((link) => link.ended));
    signal.removeEventListener('abort', close);
  }
}

function start(
  source: SupervisedSource,
  parts: { link: Link; leases: Session; doorbell: Doorbell },
  signal: AbortSignal,
): { stop: AbortController; ended: Promise<void> } {
  const stop = new AbortController();
  const ended = superviseLink(
    {
      link: parts.link,
      connections: source.connections(parts.link),
      leaseSession: parts.leases,
      doorbell: parts.doorbell,
      settings: source.settings,
      observer: source.observer(parts.link),
      logger: source.logger.child({ source: parts.link.source, target: parts.link.target }),
    },
    AbortSignal.any([signal, stop.signal]),
  ).catch((error: unknown) => {
    source.logger.warn({ target: parts.link.target }, error instanceof Error ? error.message : String(error));
  });
  return { stop, ended };
}

// New links are looked for this often.
const discoverMs = 1_000;
