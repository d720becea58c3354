import type { TableName } from '../core/route.ts';
import { tableIdent } from '../db/quote.ts';
import { findTable } from '../db/table-description.ts';
import { relationsOf } from './capture-sql.ts';
import type { CaptureDatabase } from './database.ts';
import { findDrift, type Drift } from './drift.ts';
import { readInstalledCapture } from './installed-capture.ts';
import { lockPatiently, type LockPatience } from './lock-patiently.ts';
import { mendingSql } from './mending-sql.ts';
import { queueKeysSql } from './queue-keys-sql.ts';
import { queueLayout } from './queue-layout.ts';

/** The drift of one captured table. */
export interface TableDrift {
  readonly tableId: string;
  readonly table: TableName;
  readonly drift: readonly Drift[];
}

/** Finds how the capture of all tables, or of one, differs from what it should be; tables without drift are left out. Changes nothing. */
export async function captureDrift(db: CaptureDatabase, tableId?: string): Promise<readonly TableDrift[]> {
  const found: TableDrift[] = [];
  for (const installed of await readInstalledCapture(db, tableId)) {
    const drift = findDrift(installed, await findTable(db, installed.table));
    if (drift.length > 0) found.push({ tableId: installed.tableId, table: installed.table, drift });
  }
  return found;
}

/**
 * Mends what can be mended of one table's capture and queues all that may have been missed meanwhile. Returns what was mended.
 * Triggers come back under a lock (see `lockPatiently`); keys are queued after it, so that no writer waits for them, and the
 * relation counts as captured only once they are: a repair that was interrupted is simply done again.
 */
export async function repairCapture(
  db: CaptureDatabase,
  options: LockPatience & TableDrift,
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  if (!options.drift.some((drift) => drift.repairable)) return [];
  const mended = await lockPatiently(db, { ...options, what: 'repair capture' }, () => mend(db, options), signal);
  if (mended.length > 0) await queueMissed(db, options);
  return mended;
}

/** Under the lock, in one transaction; short. */
async function mend(db: CaptureDatabase, { table, tableId }: TableDrift): Promise<readonly Drift[]> {
  await db.query(`lock table ${tableIdent(table)} in share row exclusive mode`);
  const description = await findTable(db, table);
  const [installed] = await readInstalledCapture(db, tableId);
  if (description === null || installed === undefined) return [];
  const drift = findDrift(installed, description).filter(({ repairable }) => repairable);
  for (const statement of mendingSql(installed, description, drift)) await db.query(statement);
  return drift;
}

/** Queues all rows of the relations that are not known to be covered, each in a transaction of its own, without locking out writers. */
async function queueMissed(db: CaptureDatabase, { table, tableId }: TableDrift): Promise<void> {
  const description = await findTable(db, table);
  const [installed] = await readInstalledCapture(db, tableId);
  if (description === null || installed === undefined) return;
  const layout = queueLayout(description, installed.key);
  const covered = new Set(installed.relations.map(({ oid }) => oid));
  for (const { oid, table: relation } of relationsOf(description)) {
    if (covered.has(oid)) continue;
    // One statement, so that the keys are queued if and only if the relation counts as covered.
    await db.query(
      `with recorded as (insert into pgrep.captured_relation (table_id, relation) values (${tableId}, ${oid}) on conflict do nothing)
      ${queueKeysSql({ tableId, layout, from: tableIdent(relation), inserted: 'false' })}`,
    );
  }
}
