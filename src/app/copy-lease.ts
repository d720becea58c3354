import { PgrepError } from '../core/error.ts';
import { showTable, type TableName } from '../core/route.ts';
import { tryLease } from '../db/lease.ts';
import type { App } from './open.ts';

/** A captured table's way to one target: what one copy at a time may fill. */
export interface CopyPlace {
  readonly source: string;
  readonly target: string;
  readonly tableId: string;
  readonly table: TableName;
}

/**
 * Runs `work` with the right to copy one table to one target and to change that route. Throws `no` when somebody else has it.
 * Held by a session of its own: sessions of one process exclude each other too, and a crash frees it.
 */
export async function withCopyLease<T>(app: App, place: CopyPlace, work: () => Promise<T>): Promise<T> {
  await using session = await app.ownSession(place.source);
  // A link's lease is its target's name; node names have no blanks, so the two never meet.
  if (!(await tryLease(session, `copy ${place.tableId} ${place.target}`))) throw copying(place);
  return await work();
}

/** The same for several at once: none is begun unless all can be had. */
export async function withCopyLeases<T>(app: App, places: readonly CopyPlace[], work: () => Promise<T>): Promise<T> {
  const [first, ...rest] = places;
  return await (first === undefined ? work() : withCopyLease(app, first, () => withCopyLeases(app, rest, work)));
}

function copying({ table, target }: CopyPlace): PgrepError {
  return new PgrepError('no', `Table ${showTable(table)} is being copied to ${target} by another process.`, {
    hint: `That one finishes it: pgrep status shows how many tables are being copied, pgrep wait --to ${target} waits for it.`,
  });
}
