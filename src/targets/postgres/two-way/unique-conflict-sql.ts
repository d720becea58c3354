import { ident, literal, tableIdent } from '../../../db/quote.ts';
import { selfSql, unfoldedSql } from '../../../versions/version-sql.ts';
import { sidecarName } from '../../../versions/versioned-table.ts';
import { sameKey, stagedValue, stageName } from '../apply-sql.ts';
import type { RefusedStaged } from '../careful-apply.ts';
import { isMeeting, rowKeyIs, stagedKeyTexts } from './meeting.ts';

/** Statements that record a staged row whose second unique value another row has; none for other refusals. */
export function recordUniqueSql({ table, tid, row }: RefusedStaged): readonly string[] {
  if (row.reason !== '23505' || !isMeeting(table)) return [];
  const { route, versioned } = table;
  const ours = table.columns.map((column) => `t.${ident(column.target)}`).join(', ');
  const theirs = table.columns.map((column) => `${stagedValue(column)} as ${ident(column.target)}`).join(', ');
  return table.otherUniqueKeys.flatMap((unique) => {
    const columns = unique.map((name) => table.columns.find((column) => column.target === name));
    if (columns.includes(undefined)) return [];
    const same = columns.flatMap((column) => (column === undefined ? [] : [`t.${ident(column.target)} = ${stagedValue(column)}`])); // prettier-ignore
    return [
      `insert into pgrep.conflict (nsp_name, table_name, key, kind, policy, verdict, source, local_version, remote_version, local_row, remote_row)
select ${literal(route.targetTable.schema)}, ${literal(route.targetTable.name)}, ${stagedKeyTexts(table)}, 'unique',
  ${literal(route.twoWay?.policy ?? 'last-write-wins')}, 'held', ${literal(route.source)}, coalesce(greatest(u.stamp[1], rv.version), ${selfSql}), s.version,
  (select pg_catalog.row_to_json(x) from (select ${ours}) x), (select pg_catalog.row_to_json(x) from (select ${theirs}) x)
from ${stageName(table)} s join ${tableIdent(route.targetTable)} t on ${same.join(' and ')} and not (${sameKey(table)})
left join ${sidecarName(versioned.tableId)} rv on ${rowKeyIs(table, 'rv')}
left join (${unfoldedSql(versioned)}) u on ${rowKeyIs(table, 'u')}
where s.ctid = '${tid}'::tid on conflict do nothing`,
    ];
  });
}
