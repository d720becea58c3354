import { unseenCondition } from '../queue/unseen.ts';
import { queuedKeys, queueName, routeRows } from '../queue/queue-table.ts';
import type { BatchExtent, SourceView } from '../queue/batch-reader.ts';
import type { Arrived, Peek, WatchedQueue } from '../queue/peek.ts';
import { recordRefusals, touchRecords } from '../failures/error-records.ts';
import { heldAmong, withoutHeld } from '../failures/held-keys.ts';
import type { Route } from '../core/route.ts';
import { tableIdent } from '../db/quote.ts';
import type { Applied, Batch, ChangedTable, Exchange, Mark, RefusedRow } from '../targets/target.ts';
import type { LinkSession } from './link-session.ts';

/** What one batch came to. `again`: nothing was committed; the position has been read anew, look again. */
export interface BatchOutcome {
  readonly again: boolean;
  /** Keys that the look counted, at most the batch's. */
  readonly keys: number;
  readonly held: number;
  /** True when more is waiting than this batch took. */
  readonly catchingUp: boolean;
}

export interface BatchLimits {
  readonly maxBatchRows: number;
  /** True: the commit is flushed at the target. */
  readonly durable: boolean;
}

// Up to this many keys the plans go by index, key by key: about where a hash join over a mid-sized table begins to pay.
const smallKeys = 2_000;
const keysPerPass = 20;

/** Applies what a look has found: one batch, one transaction at the target, over all tables of the link. */
export async function applyBatch(
  session: LinkSession,
  found: { peek: Peek; build: string | null },
  limits: BatchLimits,
  signal: AbortSignal,
): Promise<BatchOutcome> {
  const { peek, build } = found;
  const watched = session.watched();
  const changed = watched.filter(({ queue }) => peek.changed.has(queue.tableId));
  const most = session.target.wholeBatches ? Infinity : limits.maxBatchRows;
  const extent = await session.reader.extent(peek, changed, most);
  const keys = [...peek.changed.values()].reduce((sum, each) => sum + each.keys, 0);
  const view = await session.reader.view(build);
  const tables = await changedTables({
    session,
    view,
    peek,
    changed,
    extent,
    small: keys <= smallKeys,
    whole: keys <= limits.maxBatchRows,
  });
  const joined = joining(session);
  // Joining is what frees the table's queue, so it has to be flushed.
  const mark: Mark = {
    kind: 'position',
    snapshot: extent.position,
    joined,
    durable: limits.durable || joined.length > 0,
  };
  if (peek.held && !(await touchHeld(session, view, tables)))
    return { again: true, keys: 0, held: 0, catchingUp: false };
  const todo = peek.held ? tables.map(skipHeld) : tables;
  // What a table that joins has still to bring may be older than what has been passed on of others.
  const passes = extent.cutoff === null ? 'all' : joined.length > 0 ? 'nothing' : 'part';
  const complete = extent.cutoff === null;
  const applied = await applyTables(session, { view, tables: todo, mark, arrived: peek.arrived, passes, complete, signal }); // prettier-ignore
  await session.reader.end();
  if (!applied.committed) return { again: true, keys: 0, held: 0, catchingUp: false };
  await session.markJoined(joined);
  return { again: false, keys, held: applied.held, catchingUp: extent.cutoff !== null };
}

/**
 * A batch without rows, up to a look that found none. Its commit is flushed at the target, and with it all before. Copied tables join
 * by it too: from a node that is never written nothing else comes, and the target forgets no version while a copy may be coming in.
 * False: nothing was committed; the position has been read anew.
 */
export async function applyNothing(session: LinkSession, peek: Peek, signal: AbortSignal): Promise<boolean> {
  const { build } = await session.reader.open();
  const view = session.reader.opened(build);
  const joined = joining(session);
  const mark: Mark = { kind: 'position', snapshot: peek.snapshot, joined, durable: true };
  const applied = await applyTables(session, { view, tables: [], mark, arrived: peek.arrived, passes: 'all', complete: true, signal }); // prettier-ignore
  await session.reader.end();
  if (applied.committed) await session.markJoined(joined);
  return applied.committed;
}

export interface TableWork {
  readonly view: SourceView;
  readonly tables: readonly ChangedTable[];
  readonly mark: Mark;
  /** What the look said; absent where there was none: then the view is asked. */
  readonly arrived?: Arrived | null;
  /** See `Exchange`; default: `part`. */
  readonly passes?: Exchange['passes'];
  /** See `Exchange`; default: false. */
  readonly complete?: boolean;
  readonly signal: AbortSignal;
  /** Is told the rows that the target refused, after they were recorded. */
  readonly onRefused?: (refused: readonly RefusedRow[]) => void;
}

/** Applies tables of an open view and keeps the session's idea of the position in step. */
export async function applyTables(session: LinkSession, work: TableWork): Promise<Applied> {
  const facts = { arrived: work.arrived ?? null, passes: work.passes ?? 'part', complete: work.complete ?? false };
  const exchange = await session.versions?.exchange(facts, (sql) => work.view.query(sql));
  const batch: Batch = {
    ...(exchange === undefined ? {} : { exchange }),
    epoch: session.position.epoch,
    build: work.view.build,
    tables: work.tables,
    mark: work.mark,
    origin: session.origin,
    copyOut: (sql, byHash) => work.view.copyOut(sql, byHash),
    hold: async (refused) => {
      await session.control.script('set synchronous_commit = on');
      await recordRefusals(session.control, refused);
      await session.control.script('set synchronous_commit = off');
      work.onRefused?.(refused);
    },
  };
  const applied = await session.target.apply(batch, work.signal);
  if (!applied.committed) session.position = await session.target.position(work.signal);
  else if (work.mark.kind === 'position') session.moved(advance(session, work.mark));
  else session.position = advance(session, work.mark);
  return applied;
}

function advance(session: LinkSession, mark: Mark): LinkSession['position'] {
  const { position } = session;
  switch (mark.kind) {
    case 'none':
      return { ...position, epoch: next(position.epoch) };
    case 'position': {
      const tables = new Map([...position.tables].filter(([id]) => !mark.joined.includes(id)));
      return { epoch: next(position.epoch), snapshot: mark.snapshot, tables, origin: session.origin };
    }
    case 'copy':
      return { ...position, tables: new Map([...position.tables, [mark.routeId, mark.table]]) };
  }
}

function next(epoch: string): string {
  return String(BigInt(epoch) + 1n);
}

interface ChangedScope {
  readonly session: LinkSession;
  readonly view: SourceView;
  readonly peek: Peek;
  readonly changed: readonly WatchedQueue[];
  readonly extent: BatchExtent;
  readonly small: boolean;
  /** True when the look counted all rows. */
  readonly whole: boolean;
}

async function changedTables(scope: ChangedScope): Promise<readonly ChangedTable[]> {
  const tables: ChangedTable[] = [];
  for (const { queue, snapshot } of scope.changed) {
    const route = scope.session.live.find((each) => each.tableId === queue.tableId);
    if (route === undefined) continue;
    const condition = unseenCondition(snapshot, scope.extent.cutoff);
    const table: ChangedTable = {
      route,
      keys: queuedKeys(queue, condition),
      rows: routeRows(route),
      sweep: await isTruncated(scope, queue.tableId, condition),
      small: scope.small,
      byHash: !scope.small && (await isMuchOf(scope, route)),
    };
    const extent = { seen: snapshot, cutoff: scope.extent.cutoff, before: scope.session.seen(route.id) };
    const { versions } = scope.session;
    tables.push(versions === null ? table : await versions.queued(table, extent, (sql) => scope.view.query(sql)));
  }
  return tables;
}

/**
 * One pass over a table takes about as long as looking up a twentieth of its rows (18, cached: 0.2 µs a row against 5 µs a key).
 * The planner's estimate of the table's rows is current even where it was never analysed: it knows the size.
 */
async function isMuchOf({ view, peek }: ChangedScope, route: Route): Promise<boolean> {
  const rows = await view.query(`explain (format json) select from ${tableIdent(route.sourceTable)}`);
  const [plan] = JSON.parse(String(rows[0]?.['QUERY PLAN'])) as readonly {
    readonly Plan: { readonly 'Plan Rows': number };
  }[];
  return (plan?.Plan['Plan Rows'] ?? Infinity) < (peek.changed.get(route.tableId)?.keys ?? 0) * keysPerPass;
}

/** The look saw every row only if the batch takes all that it counted, and that was below its limit. */
async function isTruncated(
  { view, peek, extent, whole }: ChangedScope,
  tableId: string,
  condition: string,
): Promise<boolean> {
  if (extent.cutoff === null && whole) return peek.changed.get(tableId)?.truncated ?? false;
  const rows = await view.query(
    `select exists (select from ${queueName(tableId)} q where ${condition} and q.truncated) as truncated`,
  );
  return rows[0]?.['truncated'] === 't';
}

function skipHeld(table: ChangedTable): ChangedTable {
  return { ...table, keys: withoutHeld(table.route, table.keys) };
}

/** False: a record was settled by somebody else since the snapshot was taken; the batch would skip its key without reason. */
async function touchHeld(session: LinkSession, view: SourceView, tables: readonly ChangedTable[]): Promise<boolean> {
  if (tables.length === 0) return true;
  const found = await view.query(tables.map((table) => heldAmong(table.route, table.keys)).join('\nunion\n'));
  if (found.length === 0) return true;
  const untouched = await touchRecords(session.control, found.map((row) => String(row['id']))); // prettier-ignore
  if (!untouched) await session.reader.end();
  return untouched;
}

/** Ids of the routes whose copy is complete and that have not joined the link's batches yet. */
export function joining({ live, position }: LinkSession): readonly string[] {
  return live.filter((route) => position.tables.has(route.id)).map((route) => route.id);
}

/** A route's rows and keys for a query that names the keys itself. */
export function namedKeys(route: Route, keys: string, small: boolean): ChangedTable {
  return { route, keys, rows: routeRows(route), sweep: false, small, byHash: false };
}
