import type { ConflictPolicy } from '../../../core/route.ts';
import { ident, literal, tableIdent } from '../../../db/quote.ts';
import { floorFunction } from '../../../versions/changed-sql.ts';
import {
  baseSql,
  graveSql,
  isBuiltOnSql,
  nextVersionSql,
  selfSql,
  unfoldedSql,
} from '../../../versions/version-sql.ts';
import { sidecarName } from '../../../versions/versioned-table.ts';
import { differs, sameKey, stagedValue, stageName, stageType } from '../apply-sql.ts';
import type { TargetColumn } from '../target-table.ts';
import { keyColumns, stagedKeyIs, stagedKeyTexts, type MeetingTable } from './meeting.ts';
import { senderSaw, winnerSaw } from './seen-sql.ts';

/** Names of the session settings that hand a batch's facts to the statements below, which can so be prepared once. */
export const settings = {
  /** Node id of the sender. */
  sender: 'pgrep.sender',
} as const;

/** The setting with what the sender has seen of a table, [[origin, snapshot], …]. */
export function seenSetting(table: MeetingTable): string {
  return `pgrep.seen_${table.versioned.tableId}`;
}

/** The setting with what a table had seen of the sender; empty: nothing. */
export function beforeSetting(table: MeetingTable): string {
  return `pgrep.before_${table.versioned.tableId}`;
}

/** The setting that says whether a table is still being copied to the sender: `t` or `f`. */
export function joiningSetting(table: MeetingTable): string {
  return `pgrep.joining_${table.versioned.tableId}`;
}

/** The setting that keeps the snapshot in which a table's rows were judged. */
export function judgedSetting(table: MeetingTable): string {
  return `pgrep.judged_${table.versioned.tableId}`;
}

/** After a TRUNCATE at the source: stages, as dead, all rows that are not staged already, with the TRUNCATE's version. */
export function stageTruncatedSql(table: MeetingTable, floor: { version: string; xid: string }): string {
  const keys = keyColumns(table);
  const values = keys.map(({ column }) => `t.${ident(column.target)}::${stageType(column)}`);
  return `insert into ${stageName(table)} (live, ${keys.map(({ column }) => column.stage).join(', ')}, version, xid, inserted, swept)
select false, ${values.join(', ')}, ${floor.version}, ${floor.xid}, false, true from ${tableIdent(table.route.targetTable)} t
where not exists (select from ${stageName(table)} s where ${sameKey(table)})
  and ${floor.version} > (select v.floor_version from pgrep.versioned_table v where v.table_id = ${table.versioned.tableId})`;
}

/**
 * Step b, in a statement of its own after the rows were locked: compares each staged row with the newest version known here.
 * Staged rows that lose leave the stage; what lost to a concurrent version, on either side, goes to `pgrep.conflict`. With policy
 * `function` a staged row becomes the merged one where that differs from the winner. Gives one row: `held`, a json array of [the stage's row pointer, why]
 * for rows to hold; why is null where the policy says so. `guarded`: a function that fails (see guardSql) does not fail the statement.
 * `small`: rows and versions are looked up key by key, whatever the planner thinks of the tables' sizes when it plans.
 */
export function judgeSql(table: MeetingTable, small: boolean, guarded = false): string {
  const policy = table.route.twoWay?.policy ?? 'last-write-wins';
  const guards = guarded && policy === 'function';
  return `with unfolded as materialized (${unfoldedSql(table.versioned)}),
known as materialized (
  select s.ctid as tid, s.live, s.version, s.xid, s.inserted, s.base, s.swept, f.self,
    ${there(table)} as there, u.stamp, coalesce(u.inserted, rv.inserted, false) as was_inserted, rv.version as rv_version, rv.xid as rv_xid, rv.base as rv_base, f.stamp as floor,
    case when ${there(table)} and u.stamp is not null then ${graveSql('f.stamp[1]')} end as grave
  from ${stageName(table)} s
  cross join (select l.*, not ${senderSaw(table, 'l')} as unseen from (
    select f.stamp, f.stamp[1] as local_version, f.stamp[2] as local_xid, ${selfSql} as self from (select ${floorFunction(table.versioned.tableId)}() as stamp offset 0) f) l offset 0) f
  ${lookUp(small, sidecarName(table.versioned.tableId), 'rv', stagedKeyIs(table, 'rv'))}
  left join unfolded u on ${stagedKeyIs(table, 'u')}
  ${lookUp(small, tableIdent(table.route.targetTable), 't', sameKey(table))}
  -- A changed row that a newer or unseen TRUNCATE has removed here has no version of its own.
  where rv.version is not null or u.stamp is not null or s.version <= f.stamp[1] or s.version < 256 or (f.unseen and f.stamp[1] > 255 and s.live and not s.inserted)
    or ${joining(table)}
), met as materialized (
  -- A row that was inserted while its delete arrived is about to get a version above both.
  select k.*, case when coalesce(k.grave > k.stamp[1], false) then ${nextVersionSql('k.self', 'greatest(k.grave, k.version)')}
    else greatest(k.stamp[1], k.rv_version, k.floor[1], case when k.there then k.self else 0 end) end as local_version
  from known k
), ranked as materialized (
  -- A row with the version of a TRUNCATE was there after it, in a version that nobody keeps any more.
  select m.*, case when m.swept then m.version > m.local_version else m.version >= m.local_version end as wins,
    case m.local_version when m.stamp[1] then m.stamp[2] when m.rv_version then m.rv_xid when m.floor[1] then m.floor[2] else 0 end as local_xid,
    ${baseSql('m.local_version', { stamp: 'm.stamp[1]', known: 'm.rv_version', base: 'm.rv_base', self: 'm.self' })} as local_base
  from met m
), judged as materialized (
  select r.*, c.local_row, c.remote_row, c.key, ${guards ? 'm.failure is distinct from null' : holdSql(policy)} as hold, ${guards ? 'm.failure' : 'null::text'} as failure${mergeColumns(table, policy)}
  from ranked r
  join ${stageName(table)} s on s.ctid = r.tid
  ${lookUp(small, tableIdent(table.route.targetTable), 't', sameKey(table))}
  cross join lateral (select ${rowJson(table, 't', 'r.there')} as local_row, ${rowJson(table, 's', 'r.live')} as remote_row,
    ${stagedKeyTexts(table)} as key) c${mergeJoin(table, policy, guards)}
  where (case when r.wins then ${lostHere(table)} else ${lostThere(table, policy)} end${policy === 'hold' ? ` or ${heldBefore(table)}` : ''})
    and r.version <> r.local_version and (r.there or r.live) and (r.there <> r.live or ${differs(table)})
    -- A row that was inserted took nothing back from the TRUNCATE.
    and not (r.swept and r.was_inserted and not r.wins)
), recorded as (
  insert into pgrep.conflict (nsp_name, table_name, key, kind, policy, verdict, source, local_version, remote_version, local_row, remote_row)
  select ${literal(table.route.targetTable.schema)}, ${literal(table.route.targetTable.name)}, j.key, ${kindSql}, ${literal(policy)},
    case when j.hold then 'held' ${policy === 'function' ? "when j.merges then 'merged' " : ''}when j.wins then 'remote' else 'local' end,
    ${literal(table.route.source)}, j.local_version, j.version, j.local_row, j.remote_row
  from judged j on conflict do nothing
), lost as (
  delete from ${stageName(table)} s using ranked r where s.ctid = r.tid and not r.wins
    and not exists (select from judged j where j.tid = r.tid and (j.hold${policy === 'function' ? ' or j.merges' : ''}))
)${mergedSql(table, policy)}
select pg_catalog.set_config(${literal(judgedSetting(table))}, pg_catalog.pg_current_snapshot()::text, true) as judged,
  (select pg_catalog.json_agg(pg_catalog.json_build_array(j.tid::text, j.failure)) from judged j where j.hold)::text as held, ${literal(table.route.id)} as route`;
}

// `offset 0` keeps the planner from making one join of it.
function lookUp(small: boolean, relation: string, alias: string, condition: string): string {
  if (!small) return `left join ${relation} ${alias} on ${condition}`;
  return `left join lateral (select ${alias}.* from ${relation} ${alias} where ${condition} offset 0) ${alias} on true`;
}

function there(table: MeetingTable): string {
  return `t.${ident(keyColumns(table)[0]?.column.target ?? '')} is distinct from null`;
}

// The loser is what was here: concurrent unless the winner was built on it or the sender had seen it, other than as a row that it holds back. Rows without versions meet only when both sides had rows before.
function lostHere(table: MeetingTable): string {
  return `(r.local_version > 255 and not ${isBuiltOnSql('r.base', 'r.local_version')} and (not ${senderSaw(table, 'r')} or r.local_version = any (s.beside) or ${refusedSql(table)})) or (r.version < 256 and r.there)
    or (r.there and r.local_version < 256 and (r.swept or r.inserted) and ${joining(table)})`;
}

// The sender's position has passed what it refused, but it has not got that. A second unique value has a record of its own.
function refusedSql(table: MeetingTable): string {
  return `exists (select from pgrep.sync_err_rec e join pgrep.route o on o.route_id = e.route_id
      where o.table_id = ${table.versioned.tableId} and o.target = ${literal(table.route.source)} and e.key = c.key and e.reason not in ('conflict', '23505', '23P01'))`;
}

// A node to which the table is still being copied may not have had a row that all others had: what it inserts or truncates is concurrent with it.
function joining(table: MeetingTable): string {
  return `pg_catalog.current_setting(${literal(joiningSetting(table))})::boolean`;
}

// The loser is what arrived: concurrent unless the winner was built on it or its node had seen it.
function lostThere(table: MeetingTable, policy: ConflictPolicy): string {
  const decided = policy === 'hold' ? ` or ${decidedHere(table)}` : '';
  return `r.version < 256 or not (${isBuiltOnSql('r.local_base', 'r.version')} or ${winnerSaw(table, 'r')}${decided})`;
}

const kindSql = `case when j.swept or (not j.there and j.local_version = j.floor[1]) then 'truncate/write'
    when j.there and j.live then case when j.version < 256 or (j.inserted and (j.was_inserted or j.local_version < 256)) then 'insert/insert' else 'update/update' end
    when j.there then 'update/delete' else 'delete/update' end`;

function rowJson(table: MeetingTable, alias: 't' | 's', present: string): string {
  const value = (column: TargetColumn): string => (alias === 't' ? `t.${ident(column.target)}` : stagedValue(column));
  const columns = table.columns.map((column) => `${value(column)} as ${ident(column.target)}`).join(', ');
  return `case when ${present} then (select pg_catalog.row_to_json(x) from (select ${columns}) x) end`;
}

// A TRUNCATE is not held: it has no row of its own to decide about.
function holdSql(policy: ConflictPolicy): string {
  return policy === 'hold' ? 'not r.swept and (r.there or r.local_version <> r.floor[1])' : 'false';
}

function heldBefore(table: MeetingTable): string {
  return `exists (select ${heldHere(table)} and h.local_version = r.local_version and h.restore_time is null)`;
}

// Who writes a key here that is held beside another row decides. A retry of that row says nothing of what had been seen of it.
function decidedHere(table: MeetingTable): string {
  return `(r.local_version & 255 = r.self and exists (select ${heldHere(table)} and h.local_version < r.local_version))`;
}

function heldHere({ route: { targetTable } }: MeetingTable): string {
  return `from pgrep.conflict h where h.nsp_name = ${literal(targetTable.schema)} and h.table_name = ${literal(targetTable.name)}
    and h.key = c.key and h.remote_version = r.version and h.verdict = 'held' and h.kind <> 'unique'`;
}

function mergeColumns(table: MeetingTable, policy: ConflictPolicy): string {
  if (policy !== 'function') return '';
  const made = table.columns.map((column) => `(m.made).${ident(column.target)}::${column.targetType}`).join(', ');
  const ours = table.columns.map((column) => `t.${ident(column.target)}::${column.targetType}`).join(', ');
  const theirs = table.columns.map((column) => stagedValue(column)).join(', ');
  return `, m.made, coalesce(m.made is distinct from null and case when r.wins then row(${made})::record operator(pg_catalog.*<>) row(${theirs})::record
    else row(${made})::record operator(pg_catalog.*<>) row(${ours})::record end, false) as merges`;
}

function mergeJoin(table: MeetingTable, policy: ConflictPolicy, guarded: boolean): string {
  if (policy !== 'function' || table.route.twoWay?.function == null) return '';
  const type = tableIdent(table.route.targetTable);
  const staged = table.rowColumns.map((name) => {
    const column = table.columns.find((each) => each.target === name);
    return column === undefined ? `t.${ident(name)}` : stagedValue(column);
  });
  const rows = `t::${type}, r.local_version, row(${staged.join(', ')})::${type}, r.version`;
  const made = guarded
    ? `select g.made, g.failure from ${guardName(table)}(${rows}) g`
    : `select ${table.route.twoWay.function}(${rows}) as made`;
  return `\n  left join lateral (${made}) m on r.there and r.live`;
}

function guardName(table: MeetingTable): string {
  return `pg_temp.pgrep_merge_${table.route.id}`;
}

/** DDL of a function around the route's policy function that gives an error as `failure`, its SQLSTATE and message; nothing with other policies. For the careful path: a subtransaction a call. */
export function guardSql(table: MeetingTable): readonly string[] {
  const { twoWay, targetTable } = table.route;
  if (twoWay?.policy !== 'function' || twoWay.function == null) return [];
  const type = tableIdent(targetTable);
  return [
    `create or replace function ${guardName(table)}(ours ${type}, our_version bigint, theirs ${type}, their_version bigint, out made ${type}, out failure text)
language plpgsql as $pgrep$
begin
  made := ${twoWay.function}(ours, our_version, theirs, their_version);
exception when others then
  failure := sqlstate || ' ' || sqlerrm;
end
$pgrep$`,
  ];
}

// The merged row is a new write of this node, newer than both.
function mergedSql(table: MeetingTable, policy: ConflictPolicy): string {
  if (policy !== 'function') return '';
  const set = table.columns
    .filter((column) => !column.isKey)
    .map((column) => `${column.stage} = (j.made).${ident(column.target)}::${stageType(column)}`);
  return `, merged as (
  update ${stageName(table)} s set ${[...set, `version = ${nextVersionSql('j.self', 'greatest(j.local_version, j.version)')}`].join(', ')},
    xid = pg_catalog.pg_current_xact_id()::text::bigint, merged = true, inserted = false,
    base = pgrep.merge_bases(pgrep.merge_bases(j.local_base, j.base), array[j.local_version, j.version])
  from judged j where s.ctid = j.tid and j.merges
)`;
}
