import { showTable, type Route } from '../../core/route.ts';
import { tableIdent } from '../../db/quote.ts';
import type { Examination, ExaminedNode } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** What besides the key must be unique in two-way tables. */
export const uniqueCheck: Check = {
  name: 'unique',
  fine: 'In its two-way tables nothing but the key is unique.',
  run: async (examination: Examination) => {
    const found: Found[] = [];
    const seen = new Set<string>();
    for (const node of examination.nodes.values()) {
      for (const route of node.routes) {
        const name = `${node.name} ${showTable(route.sourceTable)}`;
        if (route.twoWay === null || seen.has(name)) continue;
        seen.add(name);
        found.push(...(await otherUnique(examination, node, route)));
      }
    }
    return found;
  },
};

async function otherUnique(examination: Examination, node: ExaminedNode, route: Route): Promise<readonly Found[]> {
  const description = await examination.describe(node, route.sourceTable);
  const indexes = (description?.uniqueIndexes ?? []).filter(
    ({ columns, problem }) =>
      problem !== 'invalid' &&
      !(
        problem !== 'partial' &&
        columns.length === route.key.length &&
        route.key.every((name) => columns.includes(name))
      ),
  );
  const { rows } = await node.session.query(
    "select k.conname from pg_catalog.pg_constraint k where k.conrelid = $1::oid and k.contype = 'x' order by k.conname",
    [description?.oid ?? '0'],
  );
  const names = [
    ...indexes.map(({ name, columns }) => `${name} (${columns.map((column) => column || 'expression').join(', ')})`),
    ...rows.map((row) => `${String(row['conname'])} (exclusion)`),
  ];
  return names.map((name) => ({
    level: 'warning',
    node: node.name,
    table: route.sourceTable,
    message: `${name} is unique beside the key: when two nodes write the same value in different rows, both rows are held until one is changed.`,
    advice: `Make it part of the key, or let one node alone write such values; then drop or keep it: \\d ${tableIdent(route.sourceTable)}`,
  }));
}
