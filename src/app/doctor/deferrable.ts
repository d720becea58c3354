import { ident, tableIdent } from '../../db/quote.ts';
import type { Examination, FedTable } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Unique and exclusion constraints of targets that are checked at commit only, or may be. */
export const deferrableCheck: Check = {
  name: 'deferrable',
  fine: 'No unique constraint of its tables is deferrable.',
  run: async ({ fedTables }: Examination) => {
    const found: Found[] = [];
    for (const fed of fedTables) found.push(...(await deferrable(fed)));
    return found;
  },
};

async function deferrable({ node, table }: FedTable): Promise<readonly Found[]> {
  const { rows } = await node.session.query(
    `select k.conname from pg_catalog.pg_constraint k
     where k.conrelid = pg_catalog.to_regclass($1) and k.contype in ('p', 'u', 'x') and k.condeferrable order by k.conname`,
    [tableIdent(table)],
  );
  return rows.map((row) => {
    const name = String(row['conname']);
    return {
      level: 'warning',
      node: node.name,
      table,
      message: `Constraint ${name} is deferrable: a row that breaks it is noticed at the end of its batch only, which is then applied again row by row.`,
      advice: `Make it immediate: alter table ${tableIdent(table)} drop constraint ${ident(name)}, add constraint … not deferrable;`,
    };
  });
}
