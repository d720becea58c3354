import { monotonicMs, pause } from '../core/timing.ts';
import { queueName } from '../queue/queue-table.ts';
import { unseenOfLink } from './link-lag.ts';
import { configuredNode, type App } from './open.ts';
import type { WaitOptions, WaitResult } from './results.ts';
import { requireSources, type Source } from './sources.ts';

interface Awaited {
  readonly source: Source;
  readonly target: string;
  /** What had been committed at the source when the wait began, a `pg_snapshot` as text. */
  readonly snapshot: string;
}

/** Returns when all that was committed at the sources before the call has reached the targets or is held there, or when time runs out. */
export async function waitForTargets(app: App, options: WaitOptions, signal: AbortSignal): Promise<WaitResult> {
  if (options.to !== undefined) configuredNode(app.config, options.to);
  const begun = monotonicMs();
  const seconds = (): number => (monotonicMs() - begun) / 1000;
  let behind = await links(app, options.to);
  for (;;) {
    behind = await stillBehind(app, behind);
    const late = options.timeoutSeconds !== null && seconds() >= options.timeoutSeconds;
    if (behind.length === 0 || late || signal.aborted) break;
    await pause(pollMs, signal);
  }
  signal.throwIfAborted();
  return {
    reached: behind.length === 0,
    behind: behind.map(({ source, target }) => ({ source: source.node, target })),
    seconds: Math.round(seconds() * 1000) / 1000,
  };
}

async function links(app: App, to: string | undefined): Promise<readonly Awaited[]> {
  const awaited: Awaited[] = [];
  for (const source of await requireSources(app)) {
    const { rows } = await source.session.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
    const targets = new Set(
      source.routes.map((route) => route.target).filter((target) => to === undefined || target === to),
    );
    for (const target of targets) awaited.push({ source, target, snapshot: String(rows[0]?.['snapshot']) });
  }
  return awaited;
}

async function stillBehind(app: App, awaited: readonly Awaited[]): Promise<readonly Awaited[]> {
  const behind: Awaited[] = [];
  for (const link of awaited) if (await isBehind(app, link)) behind.push(link);
  return behind;
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
