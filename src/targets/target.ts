import type { Readable } from 'node:stream';
import type { Route } from '../core/route.ts';
import type { SeenByTable } from '../versions/seen.ts';
import type { VersionedTable } from '../versions/versioned-table.ts';

/**
 * What a replayer needs of a target, whatever its kind.
 *
 * A thrown error means that the whole target failed and nothing was committed (or that it is not
 * known whether it was: the position tells, next time). A refused row is never thrown: it goes to
 * `Batch.hold` and the rest is applied.
 */
export interface Target extends AsyncDisposable {
  /** How a batch's snapshot is to be opened for this target. */
  readonly reading: ReadingProtocol;
  /**
   * True when a backlog must not be cut into several batches: the target itself deletes rows when others are deleted, so it must
   * never see a delete without all that went before it at the source. Known after `prepare`.
   */
  readonly wholeBatches: boolean;
  /**
   * Checks that the target can take these routes and builds what applying needs.
   * Called before the first batch and again whenever the set of routes changes.
   */
  prepare(routes: readonly Route[], signal: AbortSignal): Promise<void>;
  /** Reads where the target stands; the batch's snapshot is taken only after this answered. */
  position(signal: AbortSignal): Promise<LinkPosition>;
  /** Makes every key of the batch at the target equal to the source and commits the batch's mark with it. */
  apply(batch: Batch, signal: AbortSignal): Promise<Applied>;
}

/**
 * `snapshot`: rows are read in the snapshot that becomes the position.
 * `build`: the position's snapshot is taken first, then a build number is drawn, then rows are read in a later
 * snapshot. So a higher build number never carries an older row, whoever built it (external versions).
 */
export type ReadingProtocol = 'snapshot' | 'build';

/** Where a link stands at its target. */
export interface LinkPosition {
  /** Fence: counts applied batches, a bigint as text. A batch commits only if this is still so. */
  readonly epoch: string;
  /** What the live tables have seen, a `pg_snapshot` as text; null before the first batch. */
  readonly snapshot: string | null;
  /** Tables that stand elsewhere than `snapshot` (just copied, or copying), by route id. */
  readonly tables: ReadonlyMap<string, TablePosition>;
  /** The source that the snapshots belong to; null before the first batch. */
  readonly origin: SourceOrigin | null;
}

export interface TablePosition {
  /** What the table has seen, a `pg_snapshot` as text. */
  readonly snapshot: string;
  /** Last key copied, each column's value as text in key order; null: nothing copied yet. */
  readonly lastKey: readonly string[] | null;
  /** Rows copied so far. */
  readonly copiedRows: number;
  /** True when all rows have been copied. */
  readonly copied: boolean;
}

/** Identifies a source database, so that a restored or promoted one is noticed. */
export interface SourceOrigin {
  /** `pg_control_system().system_identifier`, a bigint as text. */
  readonly systemIdentifier: string;
  readonly database: string;
  readonly timeline: number;
}

/** A set of keys to make equal at the target, read in one snapshot of the source. */
export interface Batch {
  /** The epoch that was read before the snapshot was taken. */
  readonly epoch: string;
  /** With protocol `build`: the number drawn, a bigint as text. Null otherwise. */
  readonly build: string | null;
  readonly tables: readonly ChangedTable[];
  /** What to commit together with the rows. */
  readonly mark: Mark;
  readonly origin: SourceOrigin;
  /**
   * Runs `copy (…) to stdout …` in the batch's snapshot. One at a time; the stream must be read to its end or destroyed.
   * `byHash`: see `ChangedTable.byHash`; default false.
   */
  copyOut(sql: string, byHash?: boolean): Readable;
  /** What versions are judged by; absent: the link has no two-way routes. */
  readonly exchange?: Exchange;
  /** Records refused rows at the source, durably. To be called before the mark is committed. */
  hold(refused: readonly RefusedRow[]): Promise<void>;
}

/** What two nodes tell each other in each batch of two-way routes. */
export interface Exchange {
  /** Node id of the source. */
  readonly sender: number;
  /** What the source has seen of other nodes, as of the batch's snapshot. */
  readonly seen: SeenByTable;
  /**
   * How much of what the source has received from others has come to the target with this batch; `part`: as much as before;
   * `nothing`: it does not forward, or begins to bring a copied table.
   */
  readonly passes: 'all' | 'part' | 'nothing';
  /**
   * True: the batch reaches all that the source has queued. Only then does what it tells let versions be forgotten: behind a cut there may be a
   * TRUNCATE that is older than what the source has seen.
   */
  readonly complete: boolean;
}

/** The versions of one table's part of a batch. Its `keys` then have the columns `pgrep_version`, `pgrep_xid`, `pgrep_unfolded`, `pgrep_inserted` and `pgrep_foreign_too` (src/queue/stamped-keys.ts). */
export interface ChangedVersions {
  /** The source's table. */
  readonly table: VersionedTable;
  /** What the target's table had seen of the source before this batch, a `pg_snapshot`; null: nothing of these keys (a copy, a retry). */
  readonly before: string | null;
  /** After a TRUNCATE, instead of a sweep of keys: version and transaction up to which rows are gone, as bigints in text. */
  readonly floor: { readonly version: string; readonly xid: string } | null;
}

/** One table's part of a batch, as SQL that is valid in the batch's snapshot at the source. */
export interface ChangedTable {
  readonly route: Route;
  /**
   * A query that gives the distinct keys to make equal: columns named and typed as `route.key`.
   * Keys without a row in `rows` are to be deleted at the target.
   */
  readonly keys: string;
  /** A from-item without alias, `(select … from … where …)`: the live rows that belong to the route, all of `route.columns` by source names. */
  readonly rows: string;
  /** True when each of the keys has its row in `rows`: nothing is to be deleted. Absent: not known. */
  readonly allLive?: boolean;
  /** True after a TRUNCATE: besides `keys`, everything at the target that has no row in `rows` is to be deleted. */
  readonly sweep: boolean;
  /** True when `keys` gives at most a few thousand keys: plans should then go by index, key by key. */
  readonly small: boolean;
  /** True when `keys` gives so much of the table that one pass over it, joined by hash, beats looking up each key. */
  readonly byHash: boolean;
  /** Absent: a one-way route. */
  readonly versions?: ChangedVersions;
}

/**
 * `position`: the link reaches `snapshot`; `joined` are the routes whose own table position ends with it.
 * `copy`: one chunk of a table's copy (its row in `table_position` exists already). `none`: a retry; only the fence moves.
 */
export type Mark =
  | {
      readonly kind: 'position';
      readonly snapshot: string;
      readonly joined: readonly string[];
      /** True: this commit and all before it must survive a crash of the target's server. */
      readonly durable: boolean;
    }
  | {
      readonly kind: 'copy';
      readonly routeId: string;
      readonly table: TablePosition;
      /** The fence of a copy: commits only if the table's `copiedRows` is still this. The link's epoch stays. */
      readonly seenRows: number;
    }
  | { readonly kind: 'none' };

export interface Applied {
  /** False: the fence had moved, nothing was changed; read the position and begin again. */
  readonly committed: boolean;
  /** Keys made equal, including those already equal; null where the target does not count them. */
  readonly keys: number | null;
  /** Rows handed to `hold`. */
  readonly held: number;
}

/** A row that the target refused, with what the operator needs to mend it. */
export interface RefusedRow {
  readonly route: Route;
  /** Key values as text, in key order. */
  readonly key: readonly string[];
  /** The statement that failed, runnable by hand at the target (SQL, or `PUT /index/_doc/id` with its body). */
  readonly statement: string;
  /** SQLSTATE or Elasticsearch error type. */
  readonly reason: string;
  /** The target's message. */
  readonly message: string;
}
