import { PgrepError } from '../core/error.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { queueName } from '../queue/queue-table.ts';
import { unseenOfLink } from './link-lag.ts';
import { configuredNode, type App } from './open.ts';
import type { WaitOptions, WaitResult } from './results.ts';
import { openSources, type Source, type Unreachable } from './sources.ts';

interface Awaited {
  readonly source: Source;
  readonly target: string;
  /** What had been committed at the source when the wait began, a `pg_snapshot` as text. */
  readonly snapshot: string;
}

/**
 * Returns when all that was committed at the sources before the call has reached the targets or is held there, or when time runs
 * out. A node that does not answer is waited for too; throws `unreachable` when time runs out and nothing else is behind.
 */
export async function waitForTargets(app: App, options: WaitOptions, signal: AbortSignal): Promise<WaitResult> {
  if (options.to !== undefined) configuredNode(app.config, options.to);
  const begun = monotonicMs();
  const seconds = (): number => (monotonicMs() - begun) / 1000;
  let behind: readonly Awaited[] = [];
  const opened = await openSources(app);
  let unasked = opened.unreachable;
  let asked = await links(options.to, opened.sources);
  for (;;) {
    behind = await stillBehind(app, [...behind, ...asked]);
    const late = options.timeoutSeconds !== null && seconds() >= options.timeoutSeconds;
    if (behind.length + unasked.length === 0 || late || signal.aborted) break;
    await pause(pollMs, signal);
    ({ asked, unasked } = await askAgain(app, options.to, unasked));
  }
  signal.throwIfAborted();
  const [silent] = unasked;
  if (behind.length === 0 && silent !== undefined) throw silent.error;
  return {
    reached: behind.length === 0,
    behind: behind.map(({ source, target }) => ({ source: source.node, target })),
    seconds: Math.round(seconds() * 1000) / 1000,
  };
}

async function links(to: string | undefined, sources: readonly Source[]): Promise<readonly Awaited[]> {
  const awaited: Awaited[] = [];
  for (const source of sources) {
    const { rows } = await source.session.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
    const targets = new Set(
      source.routes.map((route) => route.target).filter((target) => to === undefined || target === to),
    );
    for (const target of targets) awaited.push({ source, target, snapshot: String(rows[0]?.['snapshot']) });
  }
  return awaited;
}

/** Nodes that did not answer when the wait began: what they have committed by now is awaited from now on. */
async function askAgain(
  app: App,
  to: string | undefined,
  unasked: readonly Unreachable[],
): Promise<{ asked: readonly Awaited[]; unasked: readonly Unreachable[] }> {
  const answers = await Promise.all(unasked.map(({ node }) => openSources(app, node)));
  const sources = answers.flatMap((answer) => answer.sources);
  return { asked: await links(to, sources), unasked: answers.flatMap(({ unreachable }) => unreachable) };
}

async function stillBehind(app: App, awaited: readonly Awaited[]): Promise<readonly Awaited[]> {
  const behind: Awaited[] = [];
  for (const link of awaited) if (await isBehindOrSilent(app, link)) behind.push(link);
  return behind;
}

async function isBehindOrSilent(app: App, link: Awaited): Promise<boolean> {
  try {
    // A session that was lost is opened anew.
    return await isBehind(app, { ...link, source: { ...link.source, session: await app.session(link.source.node) } });
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'unreachable') return true;
    throw error;
  }
}

async function isBehind(app: App, { source, target, snapshot }: Awaited): Promise<boolean> {
  if (await isCopying(source, target)) return true;
  const { queues } = await unseenOfLink(app, source, target);
  const waiting = queues.map(
    ({ route, condition }) =>
      `exists (select from ${queueName(route.tableId)} q where ${condition} and pg_catalog.pg_visible_in_snapshot(q.xid, $1::pg_snapshot))`,
  );
  const { rows } = await source.session.query(`select ${waiting.join(' or ')} as behind`, [snapshot]);
  return rows[0]?.['behind'] === 't';
}

async function isCopying(source: Source, target: string): Promise<boolean> {
  const { rows } = await source.session.query(
    `select exists (select from pgrep.route where target = $1 and state = 'copying') as copying`,
    [target],
  );
  return rows[0]?.['copying'] === 't';
}

// Short enough for scripts and tests, long enough to cost the source nothing.
const pollMs = 50;
