import type { Cluster } from './cluster.ts';

/**
 * How often an index is refreshed: `default`, as Elasticsearch does where nobody said otherwise; `seldom`, while pgrep copies into it;
 * `own`: as its owner set it, which is left alone.
 */
export type Refreshing = 'default' | 'seldom' | 'own';

// Refreshing each second cost a bulk loop a fifth of Elasticsearch's CPU (2.9 s instead of 2.3 s for 200,000 documents). Not -1: where
// a copy is killed and never resumed, what it wrote shows in ten minutes. An odd number, so that it is known to be pgrep's.
const seldomInterval = '599s';

/** What an index's `refresh_interval` says; `undefined`: it has none. */
export function refreshingOf(interval: string | undefined): Refreshing {
  if (interval === undefined) return 'default';
  return interval === seldomInterval ? 'seldom' : 'own';
}

/** Has an index refreshed seldom, or as Elasticsearch does by default again; what is waiting to be seen is refreshed then. */
export async function setRefreshing(
  cluster: Cluster,
  index: string,
  refreshing: Exclude<Refreshing, 'own'>,
  signal: AbortSignal,
): Promise<void> {
  const interval = refreshing === 'seldom' ? seldomInterval : null;
  const json = { index: { refresh_interval: interval } };
  await cluster.json({ method: 'PUT', path: `/${encodeURIComponent(index)}/_settings`, json }, signal);
}
