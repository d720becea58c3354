import { showTable, type TableName } from '../../core/route.ts';
import { ident, tableIdent } from '../../db/quote.ts';
import type { Examination, ExaminedNode } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Foreign keys of targets, or that point to them, whose columns have no index. */
export const foreignKeyCheck: Check = {
  name: 'foreign-key',
  fine: 'Foreign keys of its tables have indexes.',
  run: async ({ nodes, fedTables }: Examination) => {
    const found: Found[] = [];
    for (const node of nodes.values()) {
      const tables = fedTables.filter((fed) => fed.node === node).map(({ table }) => table);
      if (tables.length > 0) found.push(...(await withoutIndex(node, tables)));
    }
    return found;
  },
};

const withoutIndexSql = `select k.conname, n.nspname, c.relname, pn.nspname as parent_schema, p.relname as parent_name, (
    select pg_catalog.json_agg(a.attname order by x.n)::text from pg_catalog.unnest(k.conkey) with ordinality x (attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.attnum) as columns
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class p on p.oid = k.confrelid
join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
where k.contype = 'f' and k.conparentid = 0
  and (k.conrelid in (select pg_catalog.to_regclass(t) from pg_catalog.unnest($1::text[]) t) or k.confrelid in (select pg_catalog.to_regclass(t) from pg_catalog.unnest($1::text[]) t))
  and not exists (select from pg_catalog.pg_index i where i.indrelid = k.conrelid and i.indisvalid and i.indpred is null
    and (i.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey)
order by 2, 3, 1`;

async function withoutIndex(node: ExaminedNode, tables: readonly TableName[]): Promise<readonly Found[]> {
  const { rows } = await node.session.query(withoutIndexSql, [tables.map(tableIdent)]);
  return rows.map((row) => {
    const child = { schema: String(row['nspname']), name: String(row['relname']) };
    const parent = { schema: String(row['parent_schema']), name: String(row['parent_name']) };
    const columns = JSON.parse(String(row['columns'])) as readonly string[];
    const by = node.replica ? ' (other than by pgrep, which applies as a replica here)' : '';
    return {
      level: 'warning',
      node: node.name,
      table: child,
      message: `Foreign key ${String(row['conname'])} has no index on (${columns.join(', ')}): each delete of a row of ${showTable(parent)}${by} reads all of ${showTable(child)}.`,
      advice: `create index concurrently on ${tableIdent(child)} (${columns.map(ident).join(', ')});`,
    };
  });
}
