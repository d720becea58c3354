import { ident } from '../../../db/quote.ts';
import { floorFunction } from '../../../versions/changed-sql.ts';
import { baseSql, graveSql, heldBesideSql, selfSql } from '../../../versions/version-sql.ts';
import { sidecarName, type VersionedTable } from '../../../versions/versioned-table.ts';

/** Columns that a stage has beside the row's: `merged` and `swept` are set at the target. */
export const versionStageDdl =
  'version bigint, xid bigint, inserted boolean, base bigint[], beside bigint[], merged boolean not null default false, swept boolean not null default false';

/** Those of them that the source sends, in order. `beside`: versions that it holds back beside its own; it has not seen them. */
export const versionStageColumns = ['version', 'xid', 'inserted', 'base', 'beside'] as const;

/**
 * The source's side of versions, for a query over changed keys `c` and their rows `t`: the columns of `versionStageColumns`, the joins
 * that they need, and a condition. The version is that of the row as this snapshot sees it. A row that was inserted while its
 * delete arrived is left out: the fold will give it a version and queue it again (step f). So is what another node wrote, unless the source
 * passes it on: that node sends it itself. `beside`: of which rows the versions go along that are held beside them; of another node's only where that does not
 * send it to the target itself.
 */
export function readVersionsSql(
  table: VersionedTable,
  live: string,
  beside: 'none' | 'own' | 'all',
): { readonly columns: string; readonly joins: string; readonly where: string } {
  const on = table.key.map(({ column, name }) => `rv.${name} = c.${ident(column)}`).join(' and ');
  const key = `array[${table.key.map(({ column }) => `c.${ident(column)}::text`).join(', ')}]`;
  const version = `greatest(c.pgrep_version, rv.version, pgrep_f.version, case when ${live} then pgrep_f.self end)`;
  const held = heldBesideSql(table, key, version);
  const besides = { none: 'null::bigint[]', own: `case when ${version} & 255 = pgrep_f.self then ${held} end`, all: held }; // prettier-ignore
  return {
    columns: `${version}, case ${version} when c.pgrep_version then c.pgrep_xid when rv.version then rv.xid when pgrep_f.version then pgrep_f.xid else 0 end,
  c.pgrep_inserted or coalesce(rv.inserted and rv.version >= coalesce(c.pgrep_version, 0), false),
  ${baseSql(version, { stamp: 'c.pgrep_version', known: 'rv.version', base: 'rv.base', self: 'pgrep_f.self' })},
  ${besides[beside]}`,
    joins: `left join ${sidecarName(table.tableId)} rv on ${on} cross join (select f.stamp[1] as version, f.stamp[2] as xid, ${selfSql} as self from (select ${floorFunction(table.tableId)}() as stamp offset 0) f offset 0) pgrep_f`,
    where: `(c.pgrep_foreign_too or ${version} & 255 = pgrep_f.self) and not (${live} and coalesce(${graveSql('pgrep_f.version')} > c.pgrep_unfolded, false))`,
  };
}
