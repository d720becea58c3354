import type { Route, TableName } from '../core/route.ts';

/** A table at one of the nodes between which it has two-way routes. */
export interface GroupMember {
  readonly node: string;
  readonly table: TableName;
  /** Key columns by their names at this node; the same place means the same column at every member. */
  readonly key: readonly string[];
}

/** One table and all that it is kept equal with, over any number of nodes. */
export type TableGroup = readonly GroupMember[];

/** The groups that routes of several sources make; a member whose own node was not asked is there too, as its peers name it. */
export function twoWayGroups(routes: readonly Route[]): readonly TableGroup[] {
  const twoWay = routes.filter((route) => route.twoWay !== null);
  const placed = new Set<string>();
  const groups: TableGroup[] = [];
  for (const { source, sourceTable, key } of twoWay) {
    const group: GroupMember[] = [];
    const add = (member: GroupMember): void => {
      if (placed.has(nameOf(member.node, member.table))) return;
      placed.add(nameOf(member.node, member.table));
      group.push(member);
      for (const route of twoWay) {
        if (nameOf(route.source, route.sourceTable) === nameOf(member.node, member.table))
          add(peerOf(route, member.key));
      }
    };
    add({ node: source, table: sourceTable, key });
    if (group.length > 0) groups.push(group);
  }
  return groups;
}

/** The other end of a route, with key columns by their names there. */
function peerOf(route: Route, key: readonly string[]): GroupMember {
  const names = new Map(route.columns.map((column) => [column.source, column.target]));
  return { node: route.target, table: route.targetTable, key: key.map((name) => names.get(name) ?? name) };
}

function nameOf(node: string, table: TableName): string {
  return JSON.stringify([node, table.schema, table.name]);
}
