import { showTable, type Route } from '../../core/route.ts';
import { ident, tableIdent } from '../../db/quote.ts';
import type { TableDescription } from '../../db/table-description.ts';
import { holdTheSame, showType } from '../two-way/equal-columns.ts';
import type { Examination } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Key columns of each route at both ends; of two-way routes the types of all columns. */
export const keyCheck: Check = {
  name: 'key',
  fine: 'Keys are the same at both ends of its routes.',
  run: async (examination: Examination) => {
    const found: Found[] = [];
    for (const { route, target } of examination.fed) {
      const source = examination.nodes.get(route.source);
      const here = source === undefined ? null : await examination.describe(source, route.sourceTable);
      const there = await examination.describe(target, route.targetTable);
      if (there === null) found.push(missing(route));
      else if (here !== null) found.push(...unlikeKeys(route, there), ...unlikeTypes(route, here, there));
    }
    return found;
  },
};

function missing(route: Route): Found {
  return about(route, 'error', {
    message: `Node ${route.target} has no table ${showTable(route.targetTable)}, so ${showTable(route.sourceTable)} of ${route.source} cannot be replicated to it.`,
    advice: `Create it there, or: pgrep remove-table ${showTable(route.sourceTable)} --from ${route.source} --to ${route.target}`,
  });
}

function unlikeKeys(route: Route, there: TableDescription): readonly Found[] {
  const key = route.columns.filter(({ source }) => route.key.includes(source)).map(({ target }) => target);
  const isKey = there.uniqueIndexes.some(
    ({ columns, problem }) =>
      (problem === null || problem === 'deferrable') &&
      columns.length === key.length &&
      key.every((name) => columns.includes(name)),
  );
  if (isKey) return [];
  const names = key.map(ident).join(', ');
  return [
    about(route, 'error', {
      message: `Table ${showTable(route.targetTable)} of node ${route.target} has no unique index on (${key.join(', ')}), the key of ${showTable(route.sourceTable)} at ${route.source}: rows cannot be found there.`,
      advice: `create unique index concurrently on ${tableIdent(route.targetTable)} (${names});`,
    }),
  ];
}

function unlikeTypes(route: Route, here: TableDescription, there: TableDescription): readonly Found[] {
  return route.columns.flatMap(({ source, target }) => {
    const isKey = route.key.includes(source);
    if (!isKey && route.twoWay === null) return [];
    const one = here.columns.find(({ name }) => name === source);
    const other = there.columns.find(({ name }) => name === target);
    if (one === undefined || other === undefined || holdTheSame(one, other)) return [];
    const consequence =
      route.twoWay === null
        ? 'a key that does not fit there is refused'
        : 'what one end rounds, pads or cuts comes back as a change';
    return [
      about(route, route.twoWay === null ? 'warning' : 'error', {
        message: `${isKey ? 'Key column' : 'Column'} ${target} of ${showTable(route.targetTable)} at ${route.target} is ${showType(other)}, but ${source} of ${showTable(route.sourceTable)} at ${route.source} is ${showType(one)}: ${consequence}.`,
        advice: `Give both the same type: alter table ${tableIdent(route.targetTable)} alter column ${ident(target)} type ${one.formattedType};`,
      }),
    ];
  });
}

function about(route: Route, level: Found['level'], text: { message: string; advice: string }): Found {
  return { level, node: route.target, table: route.targetTable, ...text };
}
