import { literal } from '../db/quote.ts';
import type { Row } from '../db/session.ts';
import { doorbellRenewSeconds } from './doorbell.ts';
import { PgrepError } from '../core/error.ts';
import { arrivedSql, readSeen, seenSql, type SeenByTable } from '../versions/seen.ts';
import { keysInRow } from '../versions/version-sql.ts';
import { queueName, type QueueTable } from './queue-table.ts';

/** What one look at a source found. */
export interface Peek {
  /** The source's snapshot at the look, as text. */
  readonly snapshot: string;
  /** Rises with every change of routes. */
  readonly generation: string;
  /** True when `sync_err_rec` holds records of this link's target. */
  readonly held: boolean;
  /** True when one of them is due. */
  readonly due: boolean;
  /** True when triggers notify and will go on to for a while (see Doorbell). */
  readonly doorbell: boolean;
  /** True when SQL has asked for a retry. */
  readonly requested: boolean;
  /** What has arrived at the source from others; null: the link has no two-way routes. */
  readonly arrived: Arrived | null;
  /** By table id; tables without changes are absent. */
  readonly changed: ReadonlyMap<string, ChangedQueue>;
}

export interface Arrived {
  /** Rises with each batch of rows, a bigint as text. */
  readonly batches: string;
  /** What the source has seen of other nodes. */
  readonly seen: SeenByTable;
}

export interface ChangedQueue {
  /** Keys not seen, counted up to the limit of the look. */
  readonly keys: number;
  readonly truncated: boolean;
}

/** One table in a look: its queue and what it has seen. */
export interface WatchedQueue {
  readonly queue: QueueTable;
  readonly snapshot: string;
}

/** What a look is at. */
export interface LookedAt {
  readonly target: string;
  readonly watched: readonly WatchedQueue[];
  /** The source's name where something arrives from others that the target is told of; null: a one-way link. */
  readonly receiver: string | null;
}

/** Gives the condition (alias `q`) under which a queue's rows are unseen. */
export type UnseenOf = (watched: WatchedQueue) => string;

/** The one statement that tells a replayer all it must know to go on; costs one index probe a table when nothing changed. */
export function peekSql({ target, watched, receiver }: LookedAt, limitRows: number, unseenOf: UnseenOf): string {
  const counts = watched.map((each) => countSql(each.queue, unseenOf(each), limitRows));
  return `select pg_catalog.pg_current_snapshot()::text as snapshot,
  (select g.last_value from pgrep.generation g) as generation,
  (select d.last_value > extract(epoch from pg_catalog.clock_timestamp()) + ${doorbellRenewSeconds} from pgrep.doorbell d) as doorbell,
  exists (select from pgrep.sync_err_rec e where e.dst_server = ${literal(target)}) as held,
  exists (select from pgrep.sync_err_rec e where e.dst_server = ${literal(target)} and e.next_time <= pg_catalog.clock_timestamp()) as due,
  exists (select from pgrep.request r) as requested,
  ${receiver === null ? '' : `${arrivedSql(receiver)} as arrived, ${seenSql(receiver, target)} as seen,\n  `}array[${counts.join(',\n    ')}]::text[] as changed`;
}

// One text a table: the number of keys, then "t" when a TRUNCATE is among them.
function countSql(queue: QueueTable, condition: string, limitRows: number): string {
  return `(select coalesce(pg_catalog.sum(s.n), 0) || case when pg_catalog.bool_or(s.truncated) then 't' else '' end
     from (select ${keysInRow(queue)} as n, q.truncated from ${queueName(queue.tableId)} q where ${condition} limit ${limitRows}) s)`;
}

/** Reads the row that `peekSql` gives; `watched` as it was given there. */
export function readPeek(row: Row | undefined, watched: readonly WatchedQueue[]): Peek {
  if (row === undefined) throw new PgrepError('bug', 'A look at the source gave no row.');
  const list = String(row['changed']).slice(1, -1).split(',');
  const changed = new Map<string, ChangedQueue>();
  watched.forEach(({ queue }, index) => {
    const text = list[index] ?? '0';
    const found = { keys: Number.parseInt(text, 10), truncated: text.endsWith('t') };
    if (found.keys > 0 || found.truncated) changed.set(queue.tableId, found);
  });
  return {
    snapshot: String(row['snapshot']),
    generation: String(row['generation']),
    doorbell: row['doorbell'] === 't',
    held: row['held'] === 't',
    due: row['due'] === 't',
    requested: row['requested'] === 't',
    arrived: typeof row['arrived'] === 'string' ? { batches: row['arrived'], seen: readSeen(row['seen']) } : null,
    changed,
  };
}
