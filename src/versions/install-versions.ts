import { literal } from '../db/quote.ts';
import { serverLife } from '../db/server-life.ts';
import { changedFunction, changedFunctionSql, floorFunction, floorFunctionSql } from './changed-sql.ts';
import { foldFunction, foldFunctionSql } from './fold-sql.ts';
import { pruneFunction, pruneFunctionSql } from './prune-sql.ts';
import { describeVersionedSql, readVersioned, sidecarName, type VersionedTable } from './versioned-table.ts';

/** What a database needs to offer; a `Session` does. */
export interface VersionsDatabase {
  /** One statement with `$n` parameters, or several without, which are one transaction. */
  query(text: string, values?: readonly unknown[]): Promise<{ rows: Readonly<Record<string, unknown>>[] }>;
}

/**
 * Begins to keep versions of a captured table, or brings what is there to this version's text. Changes what was already
 * queued in nothing. Harmless to repeat; several at once wait for each other (advisory lock). Not to be called in a transaction.
 */
export async function installVersions(db: VersionsDatabase, tableId: string): Promise<void> {
  await db.query('select pg_catalog.pg_advisory_lock($1)', [installLock]);
  try {
    const table = await describeVersioned(db, tableId);
    if (await isCurrent(db, table)) return;
    // One message is one transaction: between the end of a function and its new text nobody may look for it.
    await db.query([...installSql(table), ...retypeSql(table)].join(';\n'));
  } finally {
    await db.query('select pg_catalog.pg_advisory_unlock($1)', [installLock]);
  }
}

/** What `installVersions` runs for a table without versions, for `--dry-run`. */
export function installSql(table: VersionedTable): readonly string[] {
  const { tableId } = table;
  const columns = table.key.map(({ name, type }) => `  ${name} ${type} not null`).join(',\n');
  return [
    `create table if not exists ${sidecarName(tableId)} (
${columns},
  version bigint not null,
  xid bigint not null,
  dead boolean not null,
  inserted boolean not null,
  barrier bigint not null,
  base bigint[],
  constraint row_version_${tableId}_pk primary key (${table.key.map(({ name }) => name).join(', ')})
)`,
    `insert into pgrep.versioned_table (table_id, folded, life) values (${tableId}, pg_catalog.pg_current_snapshot(), ${serverLife}) on conflict (table_id) do nothing`,
    ...functions(table).flatMap(({ name, sql }) => [
      `drop function if exists ${name}`,
      sql,
      `revoke execute on function ${name} from public`,
    ]),
  ];
}

/** Ends the keeping of versions; harmless where there are none. */
export async function dropVersions(db: VersionsDatabase, tableId: string): Promise<void> {
  for (const statement of dropVersionsSql(tableId)) await db.query(statement);
}

/** The statements of `dropVersions`. */
export function dropVersionsSql(tableId: string): readonly string[] {
  const functions = [`${foldFunction(tableId)}(integer, pg_snapshot)`, `${pruneFunction(tableId)}()`, `${changedFunction(tableId)}(pg_snapshot, xid8, smallint)`, `${floorFunction(tableId)}()`]; // prettier-ignore
  return [
    `drop function if exists ${functions.join(', ')}`,
    `drop table if exists ${sidecarName(tableId)}`,
    `delete from pgrep.peer_copying where table_id = ${tableId}`,
    `delete from pgrep.peer_way where table_id = ${tableId}`,
    `delete from pgrep.versioned_table where table_id = ${tableId}`,
  ];
}

/** Tables of this database whose rows have versions. */
export async function versionedTables(db: VersionsDatabase): Promise<readonly string[]> {
  const { rows } = await db.query('select v.table_id::text as id from pgrep.versioned_table v order by v.table_id');
  return rows.map((row) => String(row['id']));
}

/** Describes a captured table. Throws `table` when it is not captured. */
export async function describeVersioned(db: VersionsDatabase, tableId: string): Promise<VersionedTable> {
  const { rows } = await db.query(describeVersionedSql({ tableId }));
  return readVersioned(rows[0]?.['versioned'], `number ${tableId}`);
}

function functions(table: VersionedTable): readonly { readonly name: string; readonly sql: string }[] {
  return [
    { name: `${foldFunction(table.tableId)}(integer, pg_snapshot)`, sql: foldFunctionSql(table) },
    { name: `${pruneFunction(table.tableId)}()`, sql: pruneFunctionSql(table) },
    { name: `${changedFunction(table.tableId)}(pg_snapshot, xid8, smallint)`, sql: changedFunctionSql(table) },
    { name: `${floorFunction(table.tableId)}()`, sql: floorFunctionSql(table) },
  ];
}

// The body stands between the dollar quotes, as pg_proc keeps it.
async function isCurrent(db: VersionsDatabase, table: VersionedTable): Promise<boolean> {
  for (const { name, sql } of functions(table)) {
    const { rows } = await db.query('select p.prosrc from pg_catalog.pg_proc p where p.oid = pg_catalog.to_regprocedure($1)', [name]); // prettier-ignore
    if (rows[0]?.['prosrc'] !== sql.split('$pgrep$')[1]) return false;
  }
  const { rows } =
    await db.query(`select exists (select from pgrep.versioned_table v where v.table_id = ${table.tableId}) and not exists (
    select from (values ${table.key.map(({ name, type }) => `('${name}', ${literal(bare(type))}::regtype)`).join(', ')}) k (name, type)
    where not exists (select from pg_catalog.pg_attribute a where a.attrelid = ${literal(sidecarName(table.tableId))}::regclass and a.attname = k.name and a.atttypid = k.type)) as current`);
  return rows[0]?.['current'] === 't';
}

/** Statements that give the sidecar the key types of the queue, which follow the table's. Where they are the same nothing is rewritten. */
function retypeSql({ tableId, key }: VersionedTable): readonly string[] {
  const types = key.map(({ name, type }) => `alter column ${name} type ${type} using ${name}::${bare(type)}`);
  return [`alter table ${sidecarName(tableId)} ${types.join(', ')}`];
}

// Without the collation.
function bare(type: string): string {
  return type.replace(/ collate .*$/, '');
}

// Two above the key of migrations.
const installLock = '482770018675';
