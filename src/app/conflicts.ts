import { PgrepError } from '../core/error.ts';
import type { ConflictPolicy, TableName } from '../core/route.ts';
import type { Row } from '../db/session.ts';
import type { App } from './open.ts';
import { openSources, type Source, type Unreachable } from './sources.ts';

export type ConflictKind =
  'insert/insert' | 'update/update' | 'update/delete' | 'delete/update' | 'truncate/write' | 'unique';
export type ConflictVerdict = 'local' | 'remote' | 'held' | 'merged';

/** Column names to values as text, as PostgreSQL's row_to_json shows them (a timestamp has a T between date and time); null: SQL null. */
export type RowAsText = Readonly<Record<string, string | null>>;

/**
 * A row of `pgrep.conflict`: two concurrent versions of one row. "local" is what the node had that found it, "remote" what arrived.
 * Bigints as text, times ISO 8601 UTC.
 */
export interface ConflictRecord {
  readonly id: string;
  /** The node that found the conflict and keeps the record; ids are its own. */
  readonly node: string;
  readonly nsp_name: string;
  readonly table_name: string;
  readonly key: readonly string[];
  readonly kind: ConflictKind;
  readonly policy: ConflictPolicy;
  /** Which version stands: `held` both where they are until somebody decides, `merged` a row made of both. */
  readonly verdict: ConflictVerdict;
  /** The node that sent the remote version. */
  readonly source: string;
  readonly local: ConflictSide;
  readonly remote: ConflictSide;
  readonly create_time: string;
  /** When `pgrep conflicts restore` wrote one of the rows back; null: never. */
  readonly restore_time: string | null;
}

/** One of the two versions. */
export interface ConflictSide {
  readonly version: string;
  /** The node that wrote it. */
  readonly node: string;
  /** When it was written, by that node's clock; null: before its rows had versions. */
  readonly time: string | null;
  /** Null: deleted. */
  readonly row: RowAsText | null;
}

export interface ConflictsListOptions {
  readonly node?: string;
  readonly table?: TableName;
  readonly limit?: number;
}

export interface ConflictsListResult {
  /** Newest first. */
  readonly conflicts: readonly ConflictRecord[];
  /** Postgres nodes that did not answer: what they found is missing. */
  readonly unreachable: readonly string[];
}

/** Conflicts that the nodes (or the one named) have found. A node that does not answer makes the list incomplete, not fail. */
export async function listConflicts(
  app: App,
  options: ConflictsListOptions,
  signal: AbortSignal,
): Promise<ConflictsListResult> {
  const { sources, unreachable } = await openSources(app, options.node);
  const conflicts: ConflictRecord[] = [];
  for (const source of sources) {
    signal.throwIfAborted();
    const { rows } = await source.session.query(
      `${selectConflicts} where ($1::text is null or (c.nsp_name = $1 and c.table_name = $2)) order by c.create_time desc, c.id desc limit $3`,
      [options.table?.schema ?? null, options.table?.name ?? null, options.limit ?? null],
    );
    conflicts.push(...rows.map((row) => readConflict(source, row)));
  }
  conflicts.sort((one, other) => other.create_time.localeCompare(one.create_time));
  return {
    conflicts: options.limit === undefined ? conflicts : conflicts.slice(0, options.limit),
    unreachable: unreachable.map(({ node }) => node),
  };
}

/** A conflict with the node that keeps it. */
export interface FoundConflict {
  readonly source: Source;
  readonly conflict: ConflictRecord;
}

/**
 * One conflict. Throws `usage` when there is none, or when no node was named and several have one of that id, or may have: one has it, another
 * does not answer. `unreachable` when nobody who answers has it and a node does not answer.
 */
export async function findConflict(app: App, options: { id: string; node?: string }): Promise<FoundConflict> {
  if (!/^\d{1,18}$/.test(options.id)) throw notAnId(options.id);
  const { sources, unreachable } = await openSources(app, options.node);
  const found: FoundConflict[] = [];
  for (const source of sources) {
    const { rows } = await source.session.query(`${selectConflicts} where c.id = $1`, [options.id]);
    found.push(...rows.map((row) => ({ source, conflict: readConflict(source, row) })));
  }
  const [first, second] = found;
  if (first !== undefined && second === undefined && (options.node !== undefined || unreachable.length === 0))
    return first;
  throw first === undefined ? noConflict(options.id, unreachable) : severalConflicts(options.id, found, unreachable);
}

const utc = (time: string): string => `pg_catalog.to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

// A version is (microseconds since the epoch << 8) | node id; those of rows that were never changed under versions have no time.
const side = (name: 'local' | 'remote'): string => `pg_catalog.json_build_object(
    'version', c.${name}_version::text,
    'node', coalesce((select n.name from pgrep.node n where n.node_id = c.${name}_version & 255), 'node ' || (c.${name}_version & 255)),
    'time', case when c.${name}_version >> 8 > 0 then ${utc(`(timestamptz 'epoch' + (c.${name}_version >> 8) * interval '1 microsecond')`)} end,
    'row', case when c.${name}_row is not null then
      (select coalesce(pg_catalog.json_object_agg(e.key, e.value), '{}') from pg_catalog.json_each_text(c.${name}_row) e) end)`;

const selectConflicts = `select pg_catalog.json_build_object('id', c.id::text, 'nsp_name', c.nsp_name, 'table_name', c.table_name, 'key', c.key,
  'kind', c.kind, 'policy', c.policy, 'verdict', c.verdict, 'source', c.source, 'local', ${side('local')}, 'remote', ${side('remote')},
  'create_time', ${utc('c.create_time')}, 'restore_time', ${utc('c.restore_time')})::text as conflict
  from pgrep.conflict c`;

function readConflict(source: Source, row: Row): ConflictRecord {
  const { id, ...rest } = JSON.parse(String(row['conflict'])) as Omit<ConflictRecord, 'node'>;
  return { id, node: source.node, ...rest };
}

function notAnId(id: string): PgrepError {
  return new PgrepError('usage', `${id} is not the id of a conflict.`, {
    hint: 'Ids are whole numbers: pgrep conflicts list shows them.',
  });
}

function noConflict(id: string, unreachable: readonly Unreachable[]): PgrepError {
  const [silent] = unreachable;
  if (silent !== undefined) return silent.error;
  return new PgrepError('usage', `There is no conflict ${id}.`, {
    hint: 'pgrep conflicts list shows those that there are; they are kept for replayer.conflictRetentionDays.',
  });
}

function severalConflicts(
  id: string,
  found: readonly FoundConflict[],
  unreachable: readonly Unreachable[],
): PgrepError {
  const nodes = found.map(({ conflict }) => conflict.node);
  const message =
    nodes.length > 1
      ? `Several nodes have a conflict ${id}: ${nodes.join(', ')}.`
      : `Node ${nodes.join()} has a conflict ${id}, but ${unreachable.map(({ node }) => node).join(', ')} may have one too and cannot be asked.`;
  return new PgrepError('usage', message, { hint: `Say which one is meant: --node ${nodes.join(' or --node ')}.` });
}
