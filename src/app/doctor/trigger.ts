import { replicatorName } from '../../core/replicator-name.ts';
import { ident, literal, tableIdent } from '../../db/quote.ts';
import type { Examination, FedTable } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Triggers of the user's that run for replicated rows, too. */
export const triggerCheck: Check = {
  name: 'trigger',
  fine: 'No trigger of its tables runs for replicated rows.',
  run: async (examination: Examination) => {
    const found: Found[] = [];
    for (const fed of examination.fedTables) found.push(...(await firing(fed)));
    return found;
  },
};

// Clones of a partitioned table's triggers have a parent; those of foreign keys are internal; capture's call functions in pgrep.
const firingSql = `select g.tgname, c.relname, n.nspname, g.tgenabled
from pg_catalog.pg_trigger g
join pg_catalog.pg_class c on c.oid = g.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_proc p on p.oid = g.tgfoid
where (g.tgrelid = pg_catalog.to_regclass($1) or g.tgrelid in (select t.relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) t))
  and not g.tgisinternal and g.tgparentid = 0 and p.pronamespace is distinct from pg_catalog.to_regnamespace('pgrep')
  and g.tgenabled = any ($2::"char"[])
order by 3, 2, 1`;

async function firing({ node, table }: FedTable): Promise<readonly Found[]> {
  // O origin, A always, R replica, D disabled.
  const { rows } = await node.session.query(firingSql, [tableIdent(table), node.replica ? '{A,R}' : '{O,A}']);
  return rows.map((row) => {
    const relation = { schema: String(row['nspname']), name: String(row['relname']) };
    const name = String(row['tgname']);
    return {
      level: 'warning',
      node: node.name,
      table,
      message: `Trigger ${name} runs for replicated rows, too${node.replica ? ' (it is enabled always or for replicas)' : ', since they are not applied as a replica'}: what it does was done at the source already.`,
      advice: node.replica
        ? `If it must not: alter table ${tableIdent(relation)} enable trigger ${ident(name)};`
        : `See the check replica-role, or give it the condition: when (current_setting('application_name') <> ${literal(replicatorName)})`,
    };
  });
}
