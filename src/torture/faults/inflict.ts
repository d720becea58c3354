import { pause } from '../../core/timing.ts';
import type { Cluster, TortureNode } from '../cluster.ts';
import type { Replayers } from '../replayers.ts';
import type { Fault, FaultEvent } from './schedule.ts';

/** What faults happen to. */
export interface Victims {
  readonly cluster: Cluster;
  readonly replayers: Replayers;
}

/** Lets a fault happen and, after its time, ends it. False: the node is not there, or not any more, and nothing happened. */
export async function inflict(fault: Fault, { cluster, replayers }: Victims, signal: AbortSignal): Promise<boolean> {
  const node = cluster.node(fault.node);
  if (node?.state !== 'member') return false;
  const last = (): Promise<void> => pause(fault.forMs, signal);
  switch (fault.event.kind) {
    case 'kill replayer':
      await replayers.kill(node.name);
      await last();
      replayers.start();
      return true;
    case 'pause replayer':
      replayers.pause(node.name);
      await last();
      replayers.goOn();
      return true;
    case 'kill server':
      await node.server.kill();
      await last();
      await node.server.start();
      return true;
    case 'skew':
      await step(cluster, node, fault.event.offsetMs);
      return true;
    default:
      breakLink(node, fault.event);
      if (fault.forMs === 0) return true;
      await last();
      mendLink(node);
      return true;
  }
}

/** Ends all that faults may have left: links, servers, clocks, replayers. */
export async function heal({ cluster, replayers }: Victims): Promise<void> {
  for (const node of cluster.members) {
    mendLink(node);
    await node.server.start();
    await step(cluster, node, 0);
  }
  replayers.goOn();
  replayers.start();
}

function breakLink({ proxy }: TortureNode, event: FaultEvent): void {
  switch (event.kind) {
    case 'cut':
      proxy.cut();
      return;
    case 'blackhole':
      proxy.mode = 'blackhole';
      return;
    case 'refuse':
      proxy.mode = 'refuse';
      proxy.cut();
      return;
    case 'slow':
      proxy.delayMs = event.delayMs;
      return;
    case 'lose reply':
      // How the batches of a Postgres target end.
      void proxy.dropReplyAfter('\ncommit\0');
      return;
    default:
      return;
  }
}

/** Connections that lost or delayed bytes are reset: TCP would never let the bytes after them through. */
function mendLink({ proxy }: TortureNode): void {
  const wasWhole = proxy.mode === 'pass' && proxy.delayMs === 0;
  proxy.mode = 'pass';
  proxy.delayMs = 0;
  if (!wasWhole) proxy.cut();
}

async function step(cluster: Cluster, node: TortureNode, offsetMs: number): Promise<void> {
  await cluster.query(node, "select pg_catalog.setval('pgrep_torture.clock_offset', $1)", [offsetMs * 1000]);
}
