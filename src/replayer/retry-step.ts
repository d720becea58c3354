import { oldestRecords, readRecords, removeSettled, type DueRecord } from '../failures/error-records.ts';
import { recordedKeys } from '../failures/held-keys.ts';
import type { RefusedRow } from '../targets/target.ts';
import { applyTables, namedKeys } from './batch-step.ts';
import type { LinkSession } from './link-session.ts';

/** What a retry came to. */
export interface RetryOutcome {
  readonly tried: number;
  readonly succeeded: number;
}

/**
 * Tries a link's oldest held rows again in one batch, as they are now at the source. What succeeds loses its record, unless the
 * key has changed meanwhile: then the record stays and is due at once. `all`: also those that are not due.
 */
export async function retryOldest(
  session: LinkSession,
  options: { limit: number; all: boolean },
  signal: AbortSignal,
): Promise<RetryOutcome> {
  const ids = await oldestRecords(session.control, session.link.target, options);
  if (ids.length === 0) return { tried: 0, succeeded: 0 };
  const opened = await session.reader.open();
  const records = (await readRecords(session.readSession, ids)).filter((record) =>
    session.live.some((route) => route.id === record.routeId),
  );
  const refused = new Set<string>();
  const committed =
    records.length === 0 || (await applyRecords(session, { build: opened.build, records, refused }, signal));
  await session.reader.end();
  if (!committed) return { tried: 0, succeeded: 0 };
  const settled = records.filter((record) => !refused.has(recordKey(record.routeId, record.key)));
  await removeSettled(session.control, settled);
  return { tried: records.length, succeeded: settled.length };
}

async function applyRecords(
  session: LinkSession,
  { build, records, refused }: { build: string | null; records: readonly DueRecord[]; refused: Set<string> },
  signal: AbortSignal,
): Promise<boolean> {
  const tables = session.live.flatMap((route) => {
    const ids = records.filter((record) => record.routeId === route.id).map((record) => record.id);
    if (ids.length === 0) return [];
    const table = namedKeys(route, recordedKeys(route, ids), true);
    return [session.versions?.named(table) ?? table];
  });
  const view = session.reader.opened(build);
  const onRefused = (rows: readonly RefusedRow[]): void => {
    for (const row of rows) refused.add(recordKey(row.route.id, row.key));
  };
  const applied = await applyTables(session, { view, tables, mark: { kind: 'none' }, signal, onRefused });
  return applied.committed;
}

/** One text for a route and key. */
function recordKey(routeId: string, key: readonly string[]): string {
  return JSON.stringify([routeId, ...key]);
}
