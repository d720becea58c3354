import { showTable } from '../../core/route.ts';
import { mayCollide } from '../interleaving.ts';
import type { KeySequence } from '../key-sequences.ts';
import { groupSequences } from '../sequences.ts';
import { twoWayGroups, type TableGroup } from '../two-way-groups.ts';
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
        found.push(...colliding(group, await groupSequences(app, reached, place)));
    }
    return found;
  },
};

function colliding(group: TableGroup, sequences: readonly KeySequence[]): readonly Found[] {
  return sequences.flatMap((sequence) => {
    const others = sequences.filter((other) => other !== sequence && mayCollide(sequence, other));
    if (others.length === 0) return [];
    const { node, table, column } = sequence;
    const nodes = others.map((other) => other.node).join(', ');
    const targets = group.map((member) => member.node).filter((name) => name !== node);
    return [
      {
        level: 'error',
        node,
        table,
        message: `Column ${column} takes its numbers from ${showTable(sequence.sequence)}, which gives the same ones as those of ${nodes}: new rows of two nodes become one, and one of them is lost to the conflict.`,
        advice: `pgrep add-table ${showTable(table)} --from ${node} --to ${targets.join(',')} --two-way --sequences interleave`,
      },
    ];
  });
}
