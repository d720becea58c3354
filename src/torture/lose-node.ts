import type { Cluster } from './cluster.ts';
import type { Replayers } from './replayers.ts';
import type { Writers } from './workload/writers.ts';

/** Loses a node for good, under load: its server is killed, and the others are told to forget it. */
export async function loseNode(
  {
    cluster,
    replayers,
    writers,
    name,
  }: { readonly cluster: Cluster; readonly replayers: Replayers; readonly writers: Writers; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const node = cluster.node(name);
  if (node === undefined) return;
  node.state = 'lost';
  await node.server.kill();
  await writers.stop(node);
  await replayers.restart();
  signal.throwIfAborted();
}
