import { PgrepError } from '../../core/error.ts';
import { showTable, type Route } from '../../core/route.ts';
import { checkPolicyFunction } from '../two-way/policy.ts';
import type { Examination, ExaminedNode } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** That each two-way route has its way back with the same policy, and that its function can be called where it is needed. */
export const twoWayCheck: Check = {
  name: 'two-way',
  fine: 'Its two-way routes go both ways under one policy.',
  run: async (examination: Examination) => {
    const found: Found[] = [];
    for (const { route, target } of examination.fed) {
      if (route.twoWay === null) continue;
      found.push(...wayBack(route, target), ...(await uncallable(route, target)));
    }
    return found;
  },
};

function wayBack(route: Route, target: ExaminedNode): readonly Found[] {
  const back = target.routes.find(
    (other) => other.target === route.source && showTable(other.sourceTable) === showTable(route.targetTable),
  );
  const same = back?.twoWay?.policy === route.twoWay?.policy && back?.twoWay?.function === route.twoWay?.function;
  if (back?.twoWay != null && same) return [];
  const what =
    back?.twoWay == null
      ? `There is no two-way route back to ${route.source}`
      : `The route back to ${route.source} has another policy (${showPolicy(back)}, here ${showPolicy(route)}), so the nodes may decide differently`;
  return [
    {
      level: 'error',
      node: target.name,
      table: route.targetTable,
      message: `${what}: the tables will not become equal.`,
      advice: `Repeat: pgrep add-table ${showTable(route.sourceTable)} --from ${route.source} --to ${route.target} --two-way --policy ${route.twoWay?.policy ?? ''}`,
    },
  ];
}

function showPolicy({ twoWay }: Route): string {
  return twoWay?.function == null ? String(twoWay?.policy) : `${twoWay.policy} ${twoWay.function}`;
}

/** The policy's function refused by the node that would call it. */
async function uncallable(route: Route, target: ExaminedNode): Promise<readonly Found[]> {
  if (route.twoWay === null) return [];
  try {
    await checkPolicyFunction(target.session, route.twoWay, route.targetTable);
    return [];
  } catch (error) {
    if (!(error instanceof PgrepError) || error.code !== 'route') throw error;
    const { message, hint: advice = '' } = error;
    return [{ level: 'error', node: route.target, table: route.targetTable, message, advice }];
  }
}
