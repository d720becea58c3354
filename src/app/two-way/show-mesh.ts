import { queueLayout } from '../../capture/queue-layout.ts';
import { installSql } from '../../versions/install-versions.ts';
import type { VersionedTable } from '../../versions/versioned-table.ts';
import { showPlannedTarget } from '../plan-target.ts';
import type { PlannedSql } from '../results.ts';
import { changeTwoWaySql, twoWayOptions } from '../route-changes.ts';
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
      if (
        existing !== null &&
        stored.twoWay !== null &&
        twoWayOptions(existing.twoWay) !== twoWayOptions(stored.twoWay)
      )
        add([changeTwoWaySql(existing.id, stored.twoWay)]);
      else sql.push(...showPlannedTarget(planned, { from: from.node, description: from.description, sweep: false }));
    }
    if (member === plan.home) add(plan.alsoForward.map(({ id, twoWay }) => changeTwoWaySql(id, { ...twoWay, forward: true }))); // prettier-ignore
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
