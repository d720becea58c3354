import type { Cluster } from '../cluster.ts';
import type { Say } from '../options.ts';
import type { Replayers } from '../replayers.ts';
import type { Commit, RecordedConflict } from './history.ts';
import type { Evidence } from './judge.ts';
import { readCommits, readConflicts } from './read-node.ts';
import { drain, empty } from './settle.ts';

// A link that has met silence gives its connection up after about 30 s; on two busy cores a long backlog takes about as long.
const drainMs = 180_000;
// Queues are emptied every 15 s, a part at a time, and each part needs to be passed.
const emptyMs = 120_000;

/** Waits until all is quiet and reads what there is to judge; starts lost nodes once more, alone, for what they had committed. */
export async function collect(
  { cluster, replayers, say }: { readonly cluster: Cluster; readonly replayers: Replayers; readonly say: Say },
  signal: AbortSignal,
): Promise<Evidence> {
  const { rows, behind } = await drain(cluster, drainMs, signal);
  say(behind === null ? 'drained; waiting for queues and row versions to empty' : `not drained: ${behind}`);
  const kept = await empty(cluster, emptyMs, signal);
  const log: Commit[] = [];
  const conflicts: RecordedConflict[] = [];
  for (const node of cluster.nodes.values()) {
    if (node.state === 'lost') await node.server.start();
    log.push(...(await readCommits(cluster, node)));
    conflicts.push(...(await readConflicts(cluster, node)));
    if (node.state === 'lost') await node.server.stop('immediate');
  }
  return { rows, behind, kept, log, conflicts, ended: replayers.ended };
}
