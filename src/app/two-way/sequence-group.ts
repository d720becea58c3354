import type { App } from '../open.ts';
import type { InterleaveOptions } from '../sequences.ts';
import type { MeshPlan } from './plan-mesh.ts';
import { routesOfMesh } from './routes-of-mesh.ts';

/** All nodes that write the table once the plan is carried out: its members, and whom two-way routes link them with already. */
export async function sequenceGroup(app: App, { members }: MeshPlan): Promise<InterleaveOptions['group']> {
  const group = new Map<string, InterleaveOptions['group'][number]>();
  for (const { node, nodeId, description, capture } of members)
    group.set(node, { node, nodeId, table: description.table, key: capture.key });
  for (const { node, description, capture, routes } of members) {
    const { tableId } = capture;
    for (const there of await routesOfMesh(app, { node, table: description.table, tableId, routes })) {
      const [route] = there.routes;
      if (route !== undefined && !group.has(there.node)) group.set(there.node, { node: there.node, table: there.table, key: route.key }); // prettier-ignore
    }
  }
  return [...group.values()];
}
