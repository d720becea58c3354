import { showTable, type Route } from '../../core/route.ts';
import { tableIdent } from '../../db/quote.ts';
import { isSqlState, sqlState } from '../../db/sqlstate.ts';
import { PgrepError } from '../../core/error.ts';
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
      found.push(...wayBack(route, target));
      const refusal = await whyNotCallable(route, target);
      if (refusal !== null) found.push(notCallable(route, refusal));
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

/** Asks for a plan of the call, which finds the function, also a polymorphic one, without running it. */
async function whyNotCallable(route: Route, target: ExaminedNode): Promise<string | null> {
  if (route.twoWay?.function == null) return null;
  const row = `null::${tableIdent(route.targetTable)}`;
  try {
    await target.session.query(
      `explain select (${route.twoWay.function}(${row}, 0::bigint, ${row}, 0::bigint)) is distinct from ${row}`,
    );
    return null;
  } catch (error) {
    const isRefusal = isSqlState(sqlState(error)) || (error instanceof PgrepError && error.code === 'privilege');
    if (!isRefusal) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

function notCallable(route: Route, refusal: string): Found {
  const name = route.twoWay?.function ?? '';
  const type = tableIdent(route.targetTable);
  return {
    level: 'error',
    node: route.target,
    table: route.targetTable,
    message: `The policy's function ${name} cannot be called at ${route.target}, so conflicts stop the link: ${refusal}.`,
    advice: `Create it there: create function ${name}(a ${type}, a_version bigint, b ${type}, b_version bigint) returns ${type} …`,
  };
}
