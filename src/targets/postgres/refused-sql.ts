import { ident, literal, tableIdent } from '../../db/quote.ts';
import { keyOf, stageName } from './apply-sql.ts';
import type { TargetColumn, TargetTable } from './target-table.ts';

/** Query that describes one staged row: its key as text, and the statement that would apply it by hand. */
export function describeStagedSql(table: TargetTable, tid: string): string {
  const key = keyOf(table).map((column) => `s.${column.stage}::text`);
  return `select pg_catalog.json_build_array(${key.join(', ')})::text as key,
  case when s.live then ${upsertText(table)} else ${deleteText(table)} end as statement
from ${stageName(table)} s where s.ctid = '${tid}'::tid`;
}

function upsertText(table: TargetTable): string {
  const target = tableIdent(table.route.targetTable);
  const columns = table.columns.map((column) => ident(column.target)).join(', ');
  const key = keyOf(table)
    .map((column) => ident(column.target))
    .join(', ');
  const set = table.columns
    .filter((column) => !column.isKey && !column.identity)
    .map((column) => `${ident(column.target)} = excluded.${ident(column.target)}`);
  const action = set.length === 0 ? 'do nothing' : `do update set ${set.join(', ')}`;
  const values = table.columns.map((column) => valueText(column)).join(` || ', ' || `);
  return `${literal(`insert into ${target} (${columns}) overriding system value values (`)} || ${values} || ${literal(`) on conflict (${key}) ${action};`)}`;
}

function deleteText(table: TargetTable): string {
  const conditions = keyOf(table).map((column) => `${literal(`${ident(column.target)} = `)} || ${valueText(column)}`);
  return `${literal(`delete from ${tableIdent(table.route.targetTable)} where `)} || ${conditions.join(` || ' and ' || `)} || ';'`;
}

function valueText(column: TargetColumn): string {
  return `coalesce(pg_catalog.quote_literal(s.${column.stage}::text) || ${literal(`::${column.targetType}`)}, 'null')`;
}
