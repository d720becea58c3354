import { installCapture } from '../../capture/install-capture.ts';
import { installVersions } from '../../versions/install-versions.ts';
import { ownId, warningsFor } from '../add-one-way.ts';
import { withCopyLeases } from '../copy-lease.ts';
import { initMissing } from '../init.ts';
import type { App } from '../open.ts';
import type { AddTableResult, CopyProgress } from '../results.ts';
import { interleaveSequences, type InterleaveResult } from '../sequences.ts';
import { fillPairs } from './fill-pairs.ts';
import { introduceNodes } from './known-nodes.ts';
import { lowerFloors } from './lower-floors.ts';
import type { Member } from './member.ts';
import type { TwoWayTableOptions } from './options.ts';
import { planMesh, type MeshPlan } from './plan-mesh.ts';
import { sequenceGroup } from './sequence-group.ts';
import { showMesh } from './show-mesh.ts';
import { storePairs } from './store-pairs.ts';

/**
 * Adds a table that is written at several nodes: each pair of them gets a route each way (with `forward`: each pair that the home
 * node is of). Repeating it is harmless, an interrupted one goes on, another node can be added while all are written.
 */
export async function addTwoWay(
  app: App,
  options: TwoWayTableOptions,
  progress: CopyProgress,
  signal: AbortSignal,
): Promise<AddTableResult> {
  const plan = await planMesh(app, options, signal);
  const warnings = warningsFor(plan.home.description);
  // Planned in any case: sequences that cannot be interleaved are refused while nothing is changed.
  const planned = await interleave(app, plan, { ...options, dryRun: true }, signal);
  if (options.dryRun) {
    return {
      routes: [],
      initialised: [],
      sequences: planned.sequences,
      sql: [...showMesh(plan), ...planned.sql],
      warnings: [...warnings, ...planned.warnings],
    };
  }
  const nodes = plan.members.map(({ node }) => node);
  const { initialised } = await initMissing(app, nodes, false);
  const silent = await introduceNodes(app, nodes);
  const tables = await captureAll(app, plan, signal);
  const unsettled = plan.pairs.filter(({ fill }) => fill !== 'settled');
  if (unsettled.length > 0 && bringsRows(plan, options)) await lowerFloors(app, plan.members);
  // Before the routes are there: from the first change that is exchanged on, no number is given twice.
  const { sequences, warnings: scarce } = await interleave(app, plan, options, signal);
  const places = unsettled.map(({ from, to }) => ({ source: from.node, target: to.node, tableId: tables.get(from.node) ?? '', table: from.description.table })); // prettier-ignore
  // Held from before the routes are there, or a daemon would begin their copies before this command does.
  const routes = await withCopyLeases(app, places, async () => {
    const stored = await storePairs(app, plan, tables);
    return await fillPairs(app, stored, progress, signal);
  });
  return { routes, initialised, sequences, sql: [], warnings: [...warnings, ...silent.map(notTold), ...scarce] };
}

/** True when a node keeps rows that this command does not copy to it: brought along, filled by hand, or by a one-way route so far. */
function bringsRows({ members }: MeshPlan, { merge, copy }: TwoWayTableOptions): boolean {
  const isFed = (node: string): boolean => members.some(({ routes }) => routes.some((route) => route.target === node && route.twoWay === null)); // prettier-ignore
  return merge === true || !copy || members.some(({ node }) => isFed(node));
}

async function interleave(
  app: App,
  plan: MeshPlan,
  { sequences, dryRun }: TwoWayTableOptions,
  signal: AbortSignal,
): Promise<InterleaveResult> {
  if (sequences === undefined) return { sequences: [], sql: [], warnings: [] };
  return await interleaveSequences(app, { group: await sequenceGroup(app, plan), dryRun }, signal);
}

/** Capture and versions at every member, before any route is there. Gives the tables' ids by node. */
async function captureAll(app: App, plan: MeshPlan, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>();
  for (const member of plan.members) ids.set(member.node, await captureAt(app, member, signal));
  return ids;
}

async function captureAt(app: App, { node, description, capture }: Member, signal: AbortSignal): Promise<string> {
  await using own = await app.ownSession(node);
  const nodeId = await ownId(own, node);
  const { tableId } = await installCapture(own, { table: description.table, key: capture.key, nodeId }, signal);
  await installVersions(own, tableId);
  return tableId;
}

function notTold(node: string): string {
  return `Node ${node} does not answer and has not been told of the new nodes. Repeat the command when it is back.`;
}
