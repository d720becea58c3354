import { forgetNode } from '../app/forget-node.ts';
import { PgrepError } from '../core/error.ts';
import type { Cluster } from './cluster.ts';
import { insist } from './insist.ts';
import type { Say } from './options.ts';
import type { Replayers } from './replayers.ts';
import type { Writers } from './workload/writers.ts';

/** What a node is lost from. */
export interface Losing {
  readonly cluster: Cluster;
  readonly replayers: Replayers;
  readonly writers: Writers;
  readonly name: string;
  readonly say: Say;
}

/** Loses a node for good, under load: its server is killed, and the others are told to forget it. */
export async function loseNode({ cluster, replayers, writers, name, say }: Losing, signal: AbortSignal): Promise<void> {
  const node = cluster.node(name);
  if (node === undefined) return;
  await node.server.kill();
  node.state = 'lost';
  await writers.stop(node);
  const forget = async (): Promise<void> => {
    await using app = cluster.app([node]);
    const { unreachable } = await forgetNode(app, { node: name, force: false, dryRun: false }, signal);
    const missing = unreachable.filter((each) => each !== name);
    if (missing.length > 0) throw new PgrepError('unreachable', `${missing.join(', ')} did not hear of it.`);
  };
  await insist(forget, say, signal);
  await replayers.restart();
}
