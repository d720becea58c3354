import { queueKeysSql } from '../capture/queue-keys-sql.ts';
import { queueLayout } from '../capture/queue-layout.ts';
import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { ident, literal, tableIdent } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { isSqlState, sqlState } from '../db/sqlstate.ts';
import { describeTable, type TableDescription } from '../db/table-description.ts';
import { findConflict, type ConflictRecord, type ConflictVerdict, type RowAsText } from './conflicts.ts';
import type { App } from './open.ts';
import type { PlannedSql } from './results.ts';

export type ConflictSideName = 'local' | 'remote';

export interface RestoreOptions {
  readonly id: string;
  readonly node?: string;
  /** Which version is written back; needed where neither has lost to the other (held, merged). Default: the one that lost. */
  readonly keep?: ConflictSideName;
  readonly dryRun: boolean;
}

export interface RestoreResult {
  readonly conflict: ConflictRecord;
  readonly side: ConflictSideName;
  /** What was done to the row; `none`: it was absent and is to be, which the other nodes are told. Null in a dry run. */
  readonly change: 'inserted' | 'updated' | 'deleted' | 'none' | null;
  /** The row as it was just before; null: there was none. */
  readonly replaced: RowAsText | null;
  /** With `dryRun`: what would run. */
  readonly sql: readonly PlannedSql[];
}

/**
 * Writes one version of a conflict back, at the node that found it, as a new change of that node: it is captured and replicated like
 * any other, and it is newer than both versions. A version that was a delete deletes the row. In the same transaction the conflict is marked as restored.
 */
export async function restoreConflict(app: App, options: RestoreOptions, signal: AbortSignal): Promise<RestoreResult> {
  const { source, conflict } = await findConflict(app, options);
  signal.throwIfAborted();
  const side = sideToRestore(conflict, options.keep);
  if (conflict.restore_time !== null) throw restoredBefore(conflict);
  const plan = await planRestore(source.session, conflict, side);
  const result = { conflict, side };
  if (options.dryRun) {
    const text = [begin, plan.mark, plan.write, 'commit'].join(';\n');
    return { ...result, change: null, replaced: null, sql: [{ node: source.node, text: `${text};` }] };
  }
  await using session = await app.ownSession(source.node);
  return { ...result, ...(await carryOut(session, conflict, plan)), sql: [] };
}

/** Which version `restore` writes: the one named, else the one that lost. Throws `usage` where neither lost, or both rows need to stay. */
export function sideToRestore(
  conflict: Pick<ConflictRecord, 'id' | 'node' | 'kind' | 'verdict'>,
  keep: ConflictSideName | undefined,
): ConflictSideName {
  const name = `Conflict ${conflict.id}`;
  if (conflict.kind === 'unique')
    throw new PgrepError('usage', `${name} is between two different rows that share a unique value; neither lost.`, {
      hint: 'Change or delete one of the two rows at its node: then both are replicated by themselves.',
    });
  const side = keep ?? loser(conflict.verdict);
  if (side !== null) return side;
  throw new PgrepError('usage', `${name} has no loser: ${verdictText(conflict.verdict)}.`, {
    hint: `Say which version is to be kept: pgrep conflicts restore ${conflict.id} --node ${conflict.node} --keep local (or --keep remote).`,
  });
}

function loser(verdict: ConflictVerdict): ConflictSideName | null {
  switch (verdict) {
    case 'local':
      return 'remote';
    case 'remote':
      return 'local';
    case 'held':
    case 'merged':
      return null;
  }
}

function verdictText(verdict: ConflictVerdict): string {
  return verdict === 'held' ? 'both versions are held where they are' : 'a row was made of both versions';
}

interface RestorePlan {
  /** Marks the conflict; a row comes back unless somebody was faster. */
  readonly mark: string;
  /** Gives the row as it was. */
  readonly look: string;
  /** Writes the row, and gives how many it inserted, updated and deleted. */
  readonly write: string;
  /** Queues the key by hand, for when nothing was written. */
  readonly queue: string;
}

// Sessions of the name that pgrep's own have are not captured; this one is to be.
const begin = `begin;\nset local application_name = 'pgrep-restore'`;

async function carryOut(
  session: Session,
  conflict: ConflictRecord,
  plan: RestorePlan,
): Promise<Pick<RestoreResult, 'change' | 'replaced'>> {
  try {
    const marked = (await session.script(`${begin};\n${plan.mark}`)).at(-1);
    if (marked?.rowCount !== 1) throw restoredBefore(conflict);
    const before = (await session.query(plan.look)).rows[0]?.['row'];
    const counts = (await session.query(plan.write)).rows[0] ?? {};
    const change = (['inserted', 'updated', 'deleted'] as const).find((done) => Number(counts[done] ?? 0) > 0);
    if (change === undefined) await session.query(plan.queue);
    await session.query('commit');
    return {
      change: change ?? 'none',
      replaced: typeof before === 'string' ? (JSON.parse(before) as RowAsText) : null,
    };
  } catch (error) {
    throw refused(conflict, error);
  }
}

async function planRestore(session: Session, conflict: ConflictRecord, side: ConflictSideName): Promise<RestorePlan> {
  const table = { schema: conflict.nsp_name, name: conflict.table_name };
  const captured = await session.query(
    'select t.table_id::text as id, pg_catalog.to_json(t.key_columns)::text as key from pgrep.captured_table t where t.nsp_name = $1 and t.table_name = $2',
    [table.schema, table.name],
  );
  const found = captured.rows[0];
  if (found === undefined) throw notReplicated(conflict, table);
  const description = await describeTable(session, table);
  const key = JSON.parse(String(found['key'])) as readonly string[];
  const keyed = keyedRow(description, key, conflict.key);
  const same = key.map((name) => `t.${ident(name)} = k.${ident(name)}`).join(' and ');
  const row = conflict[side].row;
  const target = tableIdent(table);
  return {
    mark: `update pgrep.conflict set restore_time = pg_catalog.now() where id = ${conflict.id} and restore_time is null`,
    look: `select (select pg_catalog.json_object_agg(e.key, e.value) from pg_catalog.json_each_text(pg_catalog.row_to_json(t)) e)::text as row
from ${target} t, (${keyed}) k where ${same} for update of t`,
    write:
      row === null
        ? `with deleted as (delete from ${target} t using (${keyed}) k where ${same} returning 1)
select 0 as inserted, 0 as updated, (select pg_catalog.count(*) from deleted) as deleted`
        : writeRowSql({ target, description, key, same, names: Object.keys(row), rowJson: rowJson(conflict.id, side) }),
    queue: queueKeysSql({
      tableId: String(found['id']),
      layout: queueLayout(description, key),
      from: `(${keyed})`,
      inserted: 'false',
    }),
  };
}

/** The recorded row, read where it lies: no value travels, so none can change on the way. */
function rowJson(id: string, side: ConflictSideName): string {
  return `(select c.${side}_row from pgrep.conflict c where c.id = ${id})`;
}

/** A query of one row: the key's values under the names of its columns. */
function keyedRow(description: TableDescription, key: readonly string[], values: readonly string[]): string {
  const columns = key.map((name, place) => {
    const type = description.columns.find((column) => column.name === name)?.type.sql ?? 'text';
    return `${literal(values[place] ?? '')}::${type} as ${ident(name)}`;
  });
  return `select ${columns.join(', ')}`;
}

/** Updates the row's recorded columns, or inserts it; columns that are gone, or that only the database may write, are left out. */
function writeRowSql(parts: {
  readonly target: string;
  readonly description: TableDescription;
  readonly key: readonly string[];
  readonly same: string;
  readonly names: readonly string[];
  readonly rowJson: string;
}): string {
  const { target, description, key, names } = parts;
  const written = description.columns.filter(({ name, generated }) => names.includes(name) && generated === 'no');
  const others = written.filter(({ name, identity }) => !key.includes(name) && identity !== 'always');
  const set = (others.length > 0 ? others : written.filter(({ name }) => key.includes(name))).map(({ name }) => ident(name)); // prettier-ignore
  const all = written.map(({ name }) => ident(name)).join(', ');
  return `with k as (select ${all} from pg_catalog.json_populate_record(null::${target}, ${parts.rowJson})),
updated as (update ${target} t set ${set.map((name) => `${name} = k.${name}`).join(', ')} from k where ${parts.same} returning 1),
inserted as (insert into ${target} (${all}) overriding system value select ${all} from k where not exists (select from updated) returning 1)
select (select pg_catalog.count(*) from inserted) as inserted, (select pg_catalog.count(*) from updated) as updated, 0 as deleted`;
}

function restoredBefore({ id, node, restore_time }: ConflictRecord): PgrepError {
  return new PgrepError('no', `Conflict ${id} of node ${node} was restored already${restore_time === null ? '' : `, at ${restore_time}`}.`, {
    hint: `Both rows are still on record: pgrep conflicts show ${id} --node ${node}`,
  }); // prettier-ignore
}

function notReplicated({ id, node }: ConflictRecord, table: TableName): PgrepError {
  return new PgrepError('route', `Table ${showTable(table)} is no longer replicated from node ${node}: a restored row would stay there.`, {
    hint: `Replicate it again, or write the row by hand: pgrep conflicts show ${id} --node ${node}`,
  }); // prettier-ignore
}

/** The database's own words for a row that it refuses, with what was meant to be done. */
function refused(conflict: ConflictRecord, error: unknown): unknown {
  const state = sqlState(error);
  if (error instanceof PgrepError || !isSqlState(state)) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new PgrepError('no', `Node ${conflict.node} refuses the row of conflict ${conflict.id}: ${text} (${state}).`, {
    hint: `Nothing was changed. Mend what is in its way, or write the row by hand: pgrep conflicts show ${conflict.id} --node ${conflict.node}`,
    cause: error,
  });
}
