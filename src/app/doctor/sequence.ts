import { showTable, type Route, type TableName } from '../../core/route.ts';
import { mayCollide } from '../interleaving.ts';
import type { KeySequence } from '../key-sequences.ts';
import { groupSequences } from '../sequences.ts';
import { twoWayGroups } from '../two-way-groups.ts';
import type { Examination } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Serial and identity keys of two-way tables that give the same numbers at two nodes. */
export const sequenceCheck: Check = {
  name: 'sequence',
  fine: 'No number of its keys is given by another node, too.',
  run: async ({ app, nodes, routes }: Examination) => {
    const found: Found[] = [];
    for (const group of twoWayGroups(routes)) {
      const reached = group.filter(({ node }) => nodes.has(node));
      for (const place of (group[0]?.key ?? []).keys())
        found.push(...colliding(routes, await groupSequences(app, reached, place)));
    }
    return found;
  },
};

function colliding(routes: readonly Route[], sequences: readonly KeySequence[]): readonly Found[] {
  return sequences.flatMap((sequence) => {
    const others = sequences.filter((other) => other !== sequence && mayCollide(sequence, other));
    if (others.length === 0) return [];
    const { node, table, column } = sequence;
    const nodes = others.map((other) => other.node).join(', ');
    return [
      {
        level: 'error',
        node,
        table,
        message: `Column ${column} takes its numbers from ${showTable(sequence.sequence)}, which gives the same ones as those of ${nodes}: new rows of two nodes become one, and one of them is lost to the conflict.`,
        advice: `pgrep add-table ${showTable(table)} --from ${node} --to ${peersOf(routes, sequence).join(',')} --two-way --sequences interleave`,
      },
    ];
  });
}

/** Whom the table is linked with already: to name others would link these too, and make a mesh of a star or a chain. */
function peersOf(routes: readonly Route[], { node, table }: KeySequence): readonly string[] {
  const isHere = (other: string, otherTable: TableName): boolean =>
    other === node && showTable(otherTable) === showTable(table);
  const peers = routes
    .filter((route) => route.twoWay !== null)
    .flatMap(({ source, sourceTable, target, targetTable }) => [
      ...(isHere(source, sourceTable) ? [target] : []),
      ...(isHere(target, targetTable) ? [source] : []),
    ]);
  return [...new Set(peers)];
}
