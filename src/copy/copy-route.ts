import { PgrepError } from '../core/error.ts';
import { showTable, type Route } from '../core/route.ts';
import { monotonicMs } from '../core/timing.ts';
import { tableIdent, literal } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { recordRefusals } from '../failures/error-records.ts';
import type { BatchReader, SourceView } from '../queue/batch-reader.ts';
import type { Batch, ChangedTable, Exchange, SourceOrigin, TablePosition, Target } from '../targets/target.ts';
import { chunkEndSql, chunkTable, lastKeySql, sweepTable } from './copy-chunk.ts';

/** What a copy works with; a replayer's link session has all of it. */
export interface CopyContext {
  readonly readSession: Session;
  readonly control: Session;
  readonly reader: BatchReader;
  readonly target: Target;
  readonly origin: SourceOrigin;
  /** Null: the route is one-way. */
  readonly versions: CopyVersions | null;
}

/** Gives the rows of a two-way route their versions. */
export interface CopyVersions {
  named(table: ChangedTable): ChangedTable;
  exchange(facts: { arrived: null; passes: 'part'; complete: false }, query: SourceView['query']): Promise<Exchange>;
}

export interface CopyProgressed {
  readonly rows: number;
  /** The planner's estimate; may be wrong. */
  readonly totalRows: number;
  readonly rowsPerSecond: number;
  readonly done: boolean;
}

export interface CopyRouteOptions {
  readonly route: Route;
  /** Rows in the first chunk. */
  readonly chunkRows: number;
  readonly progress: (progress: CopyProgressed) => void;
}

/**
 * Copies a route's rows chunk by chunk from where its position stands; each chunk commits with its progress, so a copy that was
 * killed goes on where it stopped. It ends at the key that is the last one when it begins: what is inserted behind that is queued
 * already, and a table that grows as fast as it is copied would never be done. Takes no lock beyond ACCESS SHARE. Ends with `copied`
 * set; the caller then makes the route live.
 * Throws `no` when somebody else copies the same table.
 */
export async function copyRoute(context: CopyContext, options: CopyRouteOptions, signal: AbortSignal): Promise<number> {
  const { route } = options;
  const totalRows = await estimateRows(context.control, route);
  const begun = monotonicMs();
  let position = await tablePosition(context, route, signal);
  const firstRows = position.copiedRows;
  const report = (done: boolean): void => {
    const seconds = Math.max((monotonicMs() - begun) / 1000, 0.001);
    const rows = position.copiedRows;
    options.progress({ rows, totalRows: Math.max(totalRows, rows), rowsPerSecond: (rows - firstRows) / seconds, done });
  };
  report(false);
  const upTo = position.copied ? null : keyOf(route, (await context.control.query(lastKeySql(route))).rows[0]);
  let { chunkRows } = options;
  while (!position.copied) {
    signal.throwIfAborted();
    const chunkBegun = monotonicMs();
    position = await copyChunk(context, { route, chunkRows, upTo }, position, signal);
    chunkRows = nextChunkRows(chunkRows, monotonicMs() - chunkBegun, options.chunkRows);
    report(position.copied);
  }
  return position.copiedRows;
}

/**
 * Chunks grow while they are quick, since the target waits at the end of each, up to ten times the first; a chunk that would have
 * to be done again after a kill, or that shows no progress meanwhile, stays a matter of seconds.
 */
function nextChunkRows(chunkRows: number, tookMs: number, firstRows: number): number {
  return tookMs < quickMs ? Math.min(chunkRows * 5, firstRows * 10) : chunkRows;
}

const quickMs = 1_000;

async function tablePosition(context: CopyContext, route: Route, signal: AbortSignal): Promise<TablePosition> {
  const found = (await context.target.position(signal)).tables.get(route.id);
  if (found !== undefined) return found;
  throw new PgrepError(
    'bug',
    `Table ${showTable(route.sourceTable)} has no position at ${route.target}, though it is to be copied.`,
  );
}

async function copyChunk(
  context: CopyContext,
  options: Pick<CopyRouteOptions, 'route' | 'chunkRows'> & { readonly upTo: readonly string[] | null },
  before: TablePosition,
  signal: AbortSignal,
): Promise<TablePosition> {
  const { route, chunkRows, upTo } = options;
  const { build } = await context.reader.open();
  // Both sides of the chunk are ranges of one index: joined by hash they cost two short scans, whatever the table's size.
  await context.readSession.script('set local enable_hashjoin = on; set local enable_mergejoin = on');
  const view = context.reader.opened(build);
  const [end] = upTo === null ? [] : await view.query(chunkEndSql(route, { after: before.lastKey, upTo }, chunkRows));
  const next = nextPosition(route, before, end);
  const { versions } = context;
  const tables = chunkParts(route, before, next).map((table) => versions?.named(table) ?? table);
  const committed = await applyChunk(context, { route, view, tables, before, next }, signal);
  await context.reader.end();
  if (!committed) throw copiedElsewhere(route);
  return next;
}

type KeyRow = Readonly<Record<string, unknown>> | undefined;

function nextPosition(route: Route, before: TablePosition, end: KeyRow): TablePosition {
  const lastKey = keyOf(route, end);
  if (lastKey === null) return { ...before, copied: true };
  return { ...before, lastKey, copiedRows: before.copiedRows + Number(end?.['rows']) };
}

/** The key in a row of `lastKeySql` or `chunkEndSql`; null: there was no row. */
function keyOf(route: Route, row: KeyRow): readonly string[] | null {
  return row === undefined ? null : route.key.map((_, index) => String(row[`k${index + 1}`]));
}

function chunkParts(route: Route, before: TablePosition, next: TablePosition): readonly ChangedTable[] {
  // Rows that only the other side of a two-way route has are its own.
  if (next.copied) return route.sweep && route.twoWay === null ? [sweepTable(route)] : [];
  return next.lastKey === null ? [] : [chunkTable(route, { after: before.lastKey, upTo: next.lastKey })];
}

interface Chunk {
  readonly route: Route;
  readonly view: SourceView;
  readonly tables: readonly ChangedTable[];
  readonly before: TablePosition;
  readonly next: TablePosition;
}

async function applyChunk(context: CopyContext, chunk: Chunk, signal: AbortSignal): Promise<boolean> {
  const { epoch } = await context.target.position(signal);
  const facts = { arrived: null, passes: 'part', complete: false } as const;
  const exchange = await context.versions?.exchange(facts, (sql) => chunk.view.query(sql));
  const batch: Batch = {
    ...(exchange === undefined ? {} : { exchange }),
    epoch,
    build: chunk.view.build,
    tables: chunk.tables,
    mark: { kind: 'copy', routeId: chunk.route.id, table: chunk.next, seenRows: chunk.before.copiedRows },
    origin: context.origin,
    copyOut: (sql) => chunk.view.copyOut(sql),
    hold: (refused) => recordRefusals(context.control, refused),
  };
  return (await context.target.apply(batch, signal)).committed;
}

async function estimateRows(session: Session, route: Route): Promise<number> {
  const { rows } = await session.query(
    `select coalesce(pg_catalog.sum(greatest(c.reltuples, 0)), 0)::bigint as rows from pg_catalog.pg_class c
     where c.relkind = 'r' and c.oid in (select ${literal(tableIdent(route.sourceTable))}::regclass
       union all select t.relid from pg_catalog.pg_partition_tree(${literal(tableIdent(route.sourceTable))}::regclass) t)`,
  );
  return Number(rows[0]?.['rows'] ?? 0);
}

function copiedElsewhere(route: Route): PgrepError {
  return new PgrepError(
    'no',
    `Table ${showTable(route.sourceTable)} is being copied to ${route.target} by another process.`,
    {
      hint: 'Wait for that one (pgrep status shows it), or stop it and begin again: pgrep copy goes on where it stopped.',
    },
  );
}
