import { queueLayout } from '../../capture/queue-layout.ts';
import { literal } from '../../db/quote.ts';
import { installSql } from '../../versions/install-versions.ts';
import type { VersionedTable } from '../../versions/versioned-table.ts';
import { showPlannedTarget } from '../plan-target.ts';
import type { PlannedSql } from '../results.ts';
import { twoWayOptions } from '../route-changes.ts';
import { introduceSql } from './known-nodes.ts';
import type { Member } from './member.ts';
import type { MeshPlan } from './plan-mesh.ts';

/** What a dry run shows: at each node the others' names, capture and versions, then its routes. */
export function showMesh(plan: MeshPlan): readonly PlannedSql[] {
  const sql = [...plan.init.sql];
  for (const member of plan.members) {
    const add = (texts: readonly string[]): void =>
      void sql.push(...texts.map((text) => ({ node: member.node, text })));
    add(introductions(member, plan.members));
    add(member.capture.sql);
    if (!member.routes.some((route) => route.twoWay !== null)) add(installSql(versioned(member)));
    for (const { from, planned } of plan.pairs.filter((pair) => pair.from === member)) {
      const { existing, stored } = planned;
      const changed = existing !== null && twoWayOptions(existing.twoWay) !== twoWayOptions(stored.twoWay);
      if (changed)
        add([`update pgrep.route set options = options || ${literal(twoWayOptions(stored.twoWay))} where route_id = ${existing.id}`]); // prettier-ignore
      else sql.push(...showPlannedTarget(planned, from.node, from.description));
    }
    if (member === plan.home) add(plan.alsoForward.map(({ id }) => `update pgrep.route set options = options || '{"forward":true}' where route_id = ${id}`)); // prettier-ignore
  }
  return sql;
}

function introductions(member: Member, members: readonly Member[]): readonly string[] {
  const known = member.routes.flatMap((route) => (route.twoWay === null ? [] : [route.target]));
  const others = members.filter((other) => other !== member && !known.includes(other.node));
  return introduceSql(others.map(({ node, nodeId }) => ({ name: node, nodeId, forgotten: false, exchange: null })));
}

function versioned({ description, capture }: Member): VersionedTable {
  const { columns, packed } = queueLayout(description, capture.key);
  const key = columns.map(({ name, type, bareType }, place) => {
    const scalar = packed ? bareType.slice(0, -2) : bareType;
    return { column: capture.key[place] ?? '', name, type: `${scalar}${type.slice(bareType.length)}` };
  });
  return { tableId: capture.tableId, table: description.table, key, packed };
}
