import { PgrepError } from '../core/error.ts';
import type { Row } from '../db/session.ts';
import type { App } from './open.ts';
import type { DiscardOptions, ErrorRecord, ErrorsListOptions } from './results.ts';
import { answeringSources, type Source } from './sources.ts';

/** Held rows of all sources, oldest first. */
export async function listErrors(
  app: App,
  options: ErrorsListOptions,
  signal: AbortSignal,
): Promise<readonly ErrorRecord[]> {
  const records: ErrorRecord[] = [];
  for (const source of await answeringSources(app, options.from)) {
    signal.throwIfAborted();
    const { rows } = await source.session.query(
      `${selectRecords} where ($1::text is null or e.dst_server = $1) and ($2::text is null or e.nsp_name = $2) and ($3::text is null or e.table_name = $3)
       order by e.create_time, e.id limit $4`,
      [options.to ?? null, options.table?.schema ?? null, options.table?.name ?? null, options.limit ?? null],
    );
    records.push(...rows.map((row) => readRecord(source, row)));
  }
  const ordered = records.sort((one, other) => one.create_time.localeCompare(other.create_time));
  return options.limit === undefined ? ordered : ordered.slice(0, options.limit);
}

/** One record. Throws `usage` when there is none, or when several sources have one of that id. */
export async function showError(
  app: App,
  options: { id: string; from?: string },
  signal: AbortSignal,
): Promise<ErrorRecord> {
  const found = await recordsById(app, [options.id], options.from);
  signal.throwIfAborted();
  const [record] = found;
  if (record === undefined) throw noRecord(options.id);
  return record;
}

/** Gives held rows up: their records are deleted, the targets stay as they are. A later change of such a key is replicated as any other. */
export async function discardErrors(
  app: App,
  options: DiscardOptions,
  signal: AbortSignal,
): Promise<readonly ErrorRecord[]> {
  const found = await recordsById(app, options.ids, options.from);
  const missing = options.ids.find((id) => !found.some((record) => record.id === id));
  if (missing !== undefined) throw noRecord(missing);
  for (const source of await answeringSources(app, options.from)) {
    signal.throwIfAborted();
    const ids = found.filter((record) => record.source === source.node).map((record) => record.id);
    if (ids.length > 0)
      await source.session.query('delete from pgrep.sync_err_rec where id = any ($1::bigint[])', [ids]);
  }
  return found;
}

async function recordsById(
  app: App,
  ids: readonly string[],
  from: string | undefined,
): Promise<readonly ErrorRecord[]> {
  const wrong = ids.find((id) => !/^\d{1,18}$/.test(id));
  if (wrong !== undefined)
    throw new PgrepError('usage', `${wrong} is not the id of a record.`, {
      hint: 'Ids are whole numbers: pgrep errors list shows them.',
    });
  const found: ErrorRecord[] = [];
  for (const source of await answeringSources(app, from)) {
    const { rows } = await source.session.query(`${selectRecords} where e.id = any ($1::bigint[]) order by e.id`, [
      ids,
    ]);
    found.push(...rows.map((row) => readRecord(source, row)));
  }
  const twice = found.find((record) => found.some((other) => other !== record && other.id === record.id));
  if (twice === undefined) return found;
  throw new PgrepError('usage', `Several nodes have a record ${twice.id}.`, {
    hint: `Say which one with --from ${twice.source}.`,
  });
}

const utc = (column: string): string =>
  `pg_catalog.to_char(e.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`;

const selectRecords = `select e.id, e.nsp_name, e.table_name, e.dst_server, e.dst_query, ${utc('create_time')}, pg_catalog.to_json(e.key)::text as key,
  e.reason, e.message, e.attempts, ${utc('last_time')}, ${utc('next_time')} from pgrep.sync_err_rec e`;

function readRecord(source: Source, row: Row): ErrorRecord {
  const text = (name: string): string => String(row[name]);
  return {
    id: text('id'),
    nsp_name: text('nsp_name'),
    table_name: text('table_name'),
    dst_server: text('dst_server'),
    dst_query: text('dst_query'),
    create_time: text('create_time'),
    source: source.node,
    key: JSON.parse(text('key')) as readonly string[],
    reason: text('reason'),
    message: text('message'),
    attempts: Number(row['attempts']),
    last_time: text('last_time'),
    next_time: text('next_time'),
  };
}

function noRecord(id: string): PgrepError {
  return new PgrepError('usage', `There is no record ${id} in sync_err_rec.`, {
    hint: 'pgrep errors list shows those that there are.',
  });
}
