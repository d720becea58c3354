import { interleaveSequences, type InterleaveResult } from '../sequences.ts';
import { openSources } from '../sources.ts';
import { twoWayGroups, type GroupMember } from '../two-way-groups.ts';
import type { App } from '../open.ts';
import type { TwoWayTableOptions } from './options.ts';
import type { MeshPlan } from './plan-mesh.ts';

/**
 * What `--sequences interleave` asks for, at all nodes that have the table, those that the command does not name (of a star) too.
 * Null without the option. To be called before the routes are there: no row that it makes collide is sent yet.
 */
export async function interleaveMembers(
  app: App,
  plan: MeshPlan,
  options: TwoWayTableOptions,
  signal: AbortSignal,
): Promise<InterleaveResult | null> {
  if (options.sequences === undefined) return null;
  const members = plan.members.map(({ node, nodeId, description, capture }) => ({ node, nodeId, table: description.table, key: capture.key })); // prettier-ignore
  const group = [...members, ...(await unnamed(app, plan))];
  const result = await interleaveSequences(app, { group, dryRun: options.dryRun }, signal);
  if (result.sequences.length > 0) return result;
  return { ...result, warnings: ['No key column takes its values from a sequence: there is nothing to interleave.'] };
}

async function unnamed(app: App, { home, members }: MeshPlan): Promise<readonly GroupMember[]> {
  const { sources } = await openSources(app);
  const { schema, name } = home.description.table;
  const group = twoWayGroups(sources.flatMap(({ routes }) => routes)).find((each) =>
    each.some(({ node, table }) => node === home.node && table.schema === schema && table.name === name),
  );
  return (group ?? []).filter(({ node }) => !members.some((member) => member.node === node));
}
