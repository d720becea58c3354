import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { tableIdent } from '../db/quote.ts';
import { describeTable, type TableDescription } from '../db/table-description.ts';
import { captureSql, dropCaptureSql, relationsOf } from './capture-sql.ts';
import { checkCapturable } from './check-capturable.ts';
import { chooseKey } from './choose-key.ts';
import type { CaptureDatabase } from './database.ts';
import { lockPatiently, type LockPatience } from './lock-patiently.ts';
import { queueLayout } from './queue-layout.ts';

export interface InstallOptions extends LockPatience {
  readonly table: TableName;
  /** Default: the primary key. */
  readonly key?: readonly string[];
  /** This node's `pgrep.node.node_id`. */
  readonly nodeId: number;
}

/** Capture of one table, as it is or would be. */
export interface Capture {
  /** `pgrep.captured_table.table_id`, an int as text. */
  readonly tableId: string;
  readonly key: readonly string[];
  /** See `QueueLayout.packed`. */
  readonly packed: boolean;
  /** `unchanged`: the table was captured already. */
  readonly change: 'created' | 'unchanged';
  /** What was run, or would be; empty when unchanged. */
  readonly sql: readonly string[];
}

/**
 * Begins capture of a table: from the commit on, every change is queued. One transaction; harmless to repeat.
 * Waits for a moment without open writers, in short tries that do not hold up the application.
 * Throws `table` when the table or key will not do, `no` when the table stays locked.
 */
export async function installCapture(
  db: CaptureDatabase,
  options: InstallOptions,
  signal: AbortSignal,
): Promise<Capture> {
  checkCapturable(await describeTable(db, options.table));
  const work = async (): Promise<Capture> => {
    await db.query(`lock table ${tableIdent(options.table)} in share row exclusive mode`);
    // Described only now: what changed before the lock was granted counts.
    const description = await describeTable(db, options.table);
    const existing = await existingCapture(db, options, description);
    if (existing !== null) return existing;
    const key = usableKey(description, options);
    const tableId = await register(db, options.table, key);
    const sql = captureSql({ description, key, tableId, nodeId: options.nodeId });
    for (const statement of sql) await db.query(statement);
    await recordRelations(db, tableId, description);
    return { tableId, key, packed: queueLayout(description, key).packed, change: 'created', sql };
  };
  return lockPatiently(db, { ...options, what: 'begin capture' }, work, signal);
}

/** What `installCapture` would do, for `--dry-run`: changes nothing, takes no lock, works before `init` too. */
export async function planCapture(db: CaptureDatabase, options: InstallOptions): Promise<Capture> {
  const description = await describeTable(db, options.table);
  checkCapturable(description);
  const there = await isThere(db);
  const existing = there ? await existingCapture(db, options, description) : null;
  if (existing !== null) return existing;
  const key = usableKey(description, options);
  const tableId = there ? await nextTableId(db) : '1';
  const sql = captureSql({ description, key, tableId, nodeId: options.nodeId });
  return { tableId, key, packed: queueLayout(description, key).packed, change: 'created', sql };
}

/**
 * Ends capture of a table: drops triggers, functions and queue, also when the table is gone. Harmless to repeat.
 * The table's routes must be gone (foreign key). Throws `no` when the table stays locked.
 */
export async function uninstallCapture(
  db: CaptureDatabase,
  options: LockPatience & { readonly tableId: string; readonly table: TableName },
  signal: AbortSignal,
): Promise<void> {
  const work = async (): Promise<void> => {
    await db.query('delete from pgrep.captured_table where table_id = $1', [options.tableId]);
    for (const statement of dropCaptureSql(options.tableId)) await db.query(statement);
  };
  await lockPatiently(db, { ...options, what: 'end capture' }, work, signal);
}

function usableKey(description: TableDescription, options: InstallOptions): readonly string[] {
  checkCapturable(description);
  return chooseKey(description, options.key);
}

async function existingCapture(
  db: CaptureDatabase,
  options: InstallOptions,
  description: TableDescription,
): Promise<Capture | null> {
  const { rows } = await db.query(
    'select table_id::text as id, pg_catalog.to_json(key_columns)::text as key from pgrep.captured_table where nsp_name = $1 and table_name = $2',
    [options.table.schema, options.table.name],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const key = JSON.parse(String(row['key'])) as readonly string[];
  if (options.key !== undefined && options.key.join('\0') !== key.join('\0')) throw otherKey(options.table, key);
  return {
    tableId: String(row['id']),
    key,
    packed: queueLayout(description, key).packed,
    change: 'unchanged',
    sql: [],
  };
}

async function register(db: CaptureDatabase, table: TableName, key: readonly string[]): Promise<string> {
  const { rows } = await db.query(
    'insert into pgrep.captured_table (nsp_name, table_name, key_columns) values ($1, $2, $3) returning table_id::text as id',
    [table.schema, table.name, key],
  );
  return String(rows[0]?.['id']);
}

// The rows that are there already are the copy's business: nothing of them needs to be queued.
async function recordRelations(db: CaptureDatabase, tableId: string, description: TableDescription): Promise<void> {
  await db.query(
    'insert into pgrep.captured_relation (table_id, relation) select $1::integer, r.relation from pg_catalog.unnest($2::oid[]) as r(relation)',
    [tableId, relationsOf(description).map((relation) => relation.oid)],
  );
}

async function isThere(db: CaptureDatabase): Promise<boolean> {
  const { rows } = await db.query("select (pg_catalog.to_regclass('pgrep.captured_table') is not null)::text as there");
  return rows[0]?.['there'] === 'true';
}

async function nextTableId(db: CaptureDatabase): Promise<string> {
  const { rows } = await db.query(
    `select coalesce(pg_catalog.pg_sequence_last_value(
       pg_catalog.pg_get_serial_sequence('pgrep.captured_table', 'table_id')::pg_catalog.regclass) + 1, 1)::text as id`,
  );
  return String(rows[0]?.['id']);
}

function otherKey(table: TableName, key: readonly string[]): PgrepError {
  return new PgrepError(
    'route',
    `Table ${showTable(table)} is captured by the key (${key.join(', ')}) already; its queue cannot change to another.`,
    {
      hint: `Leave --key out to use that key; or stop replicating the table (pgrep remove-table ${showTable(table)}) and add it again.`,
    },
  );
}
