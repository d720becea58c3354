import { PgrepError } from '../core/error.ts';
import type { Link } from '../core/route.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import type { Session } from '../db/session.ts';
import type { Target } from '../targets/target.ts';
import { SourceSide } from './source-side.ts';

/** How a link opens what it works with; wired in `src/app/`. */
export interface LinkConnections {
  openSource(): Promise<Session>;
  /** `source` keeps the state of targets that cannot keep it themselves. */
  openTarget(source: Promise<Session>): Promise<Target>;
  /** Whether the target's server accepts connections; cheap enough to be asked many times a second. */
  targetListens(): Promise<boolean>;
}

/** Both ends of a link, open. */
export interface OpenedLink {
  readonly source: SourceSide;
  readonly target: Target;
}

/** Opens both ends at once: the time until changes flow again is that of the slowest connection, not their sum. */
export async function openLink(link: Link, connections: LinkConnections): Promise<OpenedLink> {
  const controlling = connections.openSource();
  const [source, target] = await Promise.allSettled([
    SourceSide.of(link, connections.openSource(), controlling),
    connections.openTarget(controlling),
  ]);
  if (source.status === 'fulfilled' && target.status === 'fulfilled')
    return { source: source.value, target: target.value };
  if (source.status === 'fulfilled') source.value.destroy();
  if (target.status === 'fulfilled') await target.value[Symbol.asyncDispose]();
  throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason;
}

/** Closes both ends, whatever runs on them. */
export async function closeLink({ source, target }: OpenedLink): Promise<void> {
  source.destroy();
  await target[Symbol.asyncDispose]();
}

/**
 * Opens a link whose target is down as soon as that accepts connections: asks often at first, seldom once it has been down for long.
 * The source's end is opened, and the routes are loaded, while there is nothing else to do. Null: `signal` aborted, or something
 * else is wrong, which opening the link anew will tell.
 */
export async function openWhenBack(
  link: Link,
  connections: LinkConnections,
  signal: AbortSignal,
): Promise<OpenedLink | null> {
  const begun = monotonicMs();
  const preparing = prepareSource(link, connections);
  let refusedSince: number | null = null;
  for (;;) {
    await pause(Math.min(Math.max((monotonicMs() - begun) / 200, 10), 1_000), signal);
    if (signal.aborted) break;
    if (!(await connections.targetListens())) continue;
    const source = await preparing;
    if (source === null || source.lost) break;
    const target = await connections.openTarget(Promise.resolve(source.control)).catch(nullWhenRefused);
    if (target === 'other') break;
    if (target !== null) return { source, target };
    // It listens before it takes sessions.
    refusedSince ??= monotonicMs();
    if (monotonicMs() - refusedSince > startingMs) break;
  }
  // Not waited for: a source that does not answer must not hold up the end.
  void preparing.then(giveUp);
  return null;
}

// A server that is starting refuses sessions for a moment; after this the refusal is a failure of its own, to be told and backed off from.
const startingMs = 5_000;

async function prepareSource(link: Link, connections: LinkConnections): Promise<SourceSide | null> {
  let source: SourceSide | null = null;
  try {
    source = await SourceSide.of(link, connections.openSource(), connections.openSource());
    await source.loadAhead();
    return source;
  } catch {
    return giveUp(source);
  }
}

function nullWhenRefused(error: unknown): null | 'other' {
  return error instanceof PgrepError && error.code === 'unreachable' ? null : 'other';
}

function giveUp(source: SourceSide | null): null {
  source?.destroy();
  return null;
}
