import { retryErrors } from '../../app/retry-errors.ts';
import { waitForTargets } from '../../app/wait.ts';
import { PgrepError } from '../../core/error.ts';
import { monotonicMs, pause } from '../../core/timing.ts';
import type { Cluster } from '../cluster.ts';
import { differencesOf } from './equal.ts';
import { readKept, readRows, type Kept, type NodeRow } from './read-node.ts';

/** Rows of the surviving nodes by their names. */
export type RowsByNode = ReadonlyMap<string, readonly NodeRow[]>;

/**
 * Waits until every link has brought what was committed and nothing is held, twice in a row with the same rows at all nodes, or until
 * `deadlineMs` have passed. Gives the rows as they are then, and what is still wrong (null: nothing).
 */
export async function drain(
  cluster: Cluster,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<{ rows: RowsByNode; behind: string | null }> {
  const end = monotonicMs() + deadlineMs;
  let before = '';
  for (;;) {
    signal.throwIfAborted();
    const behind = await arrive(cluster, signal);
    const rows = await rowsOf(cluster);
    const held = (await keptOf(cluster)).reduce((sum, kept) => sum + kept.held, 0);
    const equal = differencesOf(rows).length === 0;
    const now = JSON.stringify([...rows]);
    if (behind === null && held === 0 && equal && now === before) return { rows, behind };
    before = now;
    if (monotonicMs() > end) return { rows, behind };
    if (held > 0) await retryAll(cluster, signal);
    await pause(betweenMs, signal);
  }
}

/** Waits until queues and sidecars are empty, or until `deadlineMs` have passed; gives what is left. */
export async function empty(cluster: Cluster, deadlineMs: number, signal: AbortSignal): Promise<readonly Kept[]> {
  const end = monotonicMs() + deadlineMs;
  for (;;) {
    const kept = await keptOf(cluster);
    if (kept.every(({ queued, versions }) => queued + versions === 0) || monotonicMs() > end) return kept;
    await pause(1000, signal);
  }
}

async function arrive(cluster: Cluster, signal: AbortSignal): Promise<string | null> {
  await using app = cluster.app();
  const { reached, behind } = await waitForTargets(app, { timeoutSeconds: 20 }, signal);
  return reached ? null : behind.map(({ source, target }) => `${source}->${target}`).join(', ');
}

/** What remains for the daemon to try again is tried again at once. */
async function retryAll(cluster: Cluster, signal: AbortSignal): Promise<void> {
  await using app = cluster.app();
  try {
    await retryErrors(app, { limit: 10_000, dryRun: false }, signal);
  } catch (error) {
    // Batches that followed each other too fast: the next round tries again.
    if (!(error instanceof PgrepError) || error.code !== 'no') throw error;
  }
}

async function rowsOf(cluster: Cluster): Promise<RowsByNode> {
  const rows = new Map<string, readonly NodeRow[]>();
  for (const node of cluster.members) rows.set(node.name, await readRows(cluster, node));
  return new Map([...rows].map(([name, list]) => [name, list.toSorted(byKey)]));
}

function byKey(one: NodeRow, other: NodeRow): number {
  return `${one.table} ${one.key}` < `${other.table} ${other.key}` ? -1 : 1;
}

async function keptOf(cluster: Cluster): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  for (const node of cluster.members) kept.push(await readKept(cluster, node));
  return kept;
}

const betweenMs = 500;
