import { PgrepError } from '../core/error.ts';
import { literal } from './quote.ts';
import type { Session } from './session.ts';
import { migrationFiles, routineFiles } from './sql-files.ts';

/** What `migrate` did, or would do with `dryRun`: `sql` in order. */
export interface Migrated {
  readonly change: 'created' | 'upgraded' | 'unchanged';
  readonly sql: readonly string[];
}

interface Installed {
  readonly migrations: ReadonlyMap<string, string>;
  readonly routines: ReadonlyMap<string, string>;
}

/** Advisory lock of everything that changes the schema pgrep ("pgrep" in ASCII). */
const schemaLock = '482770018672';

/**
 * Brings the schema `pgrep` of a database to this program's version. Safe to run at any time and by several at once
 * (advisory lock); each migration is one transaction, its bookkeeping row first. Never touches a queue.
 * Throws `schema` when the database was migrated by a newer program or a migration's text has changed since.
 */
export async function migrate(session: Session, dryRun: boolean): Promise<Migrated> {
  if (!dryRun) await session.query('select pg_catalog.pg_advisory_lock($1)', [schemaLock]);
  try {
    const installed = await readInstalled(session);
    const sql = pendingSql(session.node, installed);
    if (!dryRun) for (const text of sql) await runOrRollBack(session, text);
    const change = sql.length === 0 ? 'unchanged' : installed.migrations.size === 0 ? 'created' : 'upgraded';
    return { change, sql };
  } finally {
    if (!dryRun && !session.lost.aborted) await session.query('select pg_catalog.pg_advisory_unlock($1)', [schemaLock]);
  }
}

async function runOrRollBack(session: Session, text: string): Promise<void> {
  try {
    await session.script(text);
  } catch (error) {
    if (!session.lost.aborted) await session.query('rollback');
    throw error;
  }
}

/** True when the schema is there and no migration is missing. Throws `schema` as `migrate` does. */
export async function isMigrated(session: Session): Promise<boolean> {
  return pendingSql(session.node, await readInstalled(session)).length === 0;
}

async function readInstalled(session: Session): Promise<Installed> {
  const { rows } = await session.query("select pg_catalog.to_regclass('pgrep.migration') is not null as there");
  if (rows[0]?.['there'] !== 't') return { migrations: new Map(), routines: new Map() };
  const read = async (table: string): Promise<ReadonlyMap<string, string>> => {
    const found = await session.query(`select name, checksum from pgrep.${table}`);
    return new Map(found.rows.map((row) => [String(row['name']), String(row['checksum'])]));
  };
  return { migrations: await read('migration'), routines: await read('routine') };
}

function pendingSql(node: string, installed: Installed): readonly string[] {
  const files = migrationFiles();
  for (const [name, checksum] of installed.migrations) {
    const file = files.find((candidate) => candidate.name === name);
    if (file === undefined) throw newerSchema(node, name);
    if (file.checksum !== checksum) throw editedMigration(node, name);
  }
  const migrations = files
    .filter((file) => !installed.migrations.has(file.name))
    .map((file) => transaction(bookkeeping('migration', file.name, file.checksum), file.text));
  const routines = routineFiles()
    .filter((file) => installed.routines.get(file.name) !== file.checksum)
    .map((file) => transaction(bookkeeping('routine', file.name, file.checksum), file.text));
  const first = installed.migrations.size === 0 ? [bookkeepingTables] : [];
  return migrations.length + routines.length === 0 ? [] : [...first, ...migrations, ...routines];
}

const bookkeepingTables = `begin;
create schema if not exists pgrep;
create table if not exists pgrep.migration (
  name text not null constraint migration_pk primary key,
  checksum text not null,
  applied_at timestamptz not null default pg_catalog.now()
);
create table if not exists pgrep.routine (
  name text not null constraint routine_pk primary key,
  checksum text not null,
  applied_at timestamptz not null default pg_catalog.now()
);
commit;`;

function bookkeeping(table: 'migration' | 'routine', name: string, checksum: string): string {
  return `insert into pgrep.${table} (name, checksum) values (${literal(name)}, ${literal(checksum)})
on conflict (name) do update set checksum = excluded.checksum, applied_at = pg_catalog.now();`;
}

function transaction(...statements: readonly string[]): string {
  return ['begin;', ...statements, 'commit;'].join('\n');
}

function newerSchema(node: string, name: string): PgrepError {
  return new PgrepError('schema', `Node ${node} has migration ${name}, which this version of pgrep does not know.`, {
    hint: 'Install the version of pgrep that made it, or a newer one: npm install pgrep@latest.',
  });
}

function editedMigration(node: string, name: string): PgrepError {
  return new PgrepError(
    'schema',
    `Migration ${name} of node ${node} is not the one that this version of pgrep holds.`,
    {
      hint: 'Install an unchanged release of pgrep; the files of sql/migrations must not be edited.',
    },
  );
}
