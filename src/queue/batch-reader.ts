import type { Readable } from 'node:stream';
import { cutSnapshot, parseSnapshot, showSnapshot } from '../core/position.ts';
import type { Session } from '../db/session.ts';
import { cutoffSql } from './cutoff.ts';
import { peekSql, readPeek, type LookedAt, type Peek, type WatchedQueue } from './peek.ts';
import { unseenArguments, unseenCondition, unseenParameters } from './unseen.ts';

/** What a target's reading protocol asks of the reader (`ReadingProtocol` of the target contract). */
export type Protocol = 'snapshot' | 'build';

/** A view of the source at one snapshot. */
export interface SourceView {
  /** With protocol `build`: the number drawn before the view was opened. */
  readonly build: string | null;
  /** `copy (…) to stdout`. `byHash`: joins read whole tables instead of looking up each key. */
  copyOut(sql: string, byHash?: boolean): Readable;
  query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** How much of a backlog a batch takes. */
export interface BatchExtent {
  /** Transactions from here on wait for a later batch (xid8 as text); null: everything that is visible. */
  readonly cutoff: string | null;
  /** The position that the batch reaches. */
  readonly position: string;
}

/** Settings of a reading session: plans go by index unless a batch says otherwise, and a look's plan is kept. */
export const readerSettings = `set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off;
set plan_cache_mode = force_generic_plan`;

/**
 * Reads one link's batches at the source, over one session. A look that finds nothing costs one round trip.
 * Calls follow the order look → extent → view → end, or look → end.
 */
export class BatchReader {
  readonly #session: Session;
  readonly #protocol: Protocol;
  readonly #prepared = new Map<string, string>();

  constructor(session: Session, protocol: Protocol) {
    this.#session = session;
    this.#protocol = protocol;
  }

  /** Takes a snapshot and counts, up to `limitRows` queue rows a table, what has not been seen. Opens the view with protocol `snapshot`. */
  async look(lookedAt: LookedAt, limitRows: number): Promise<{ peek: Peek; build: string | null }> {
    const { watched } = lookedAt;
    const look = await this.#lookSql(lookedAt, limitRows);
    const text =
      this.#protocol === 'snapshot'
        ? `${beginView};\n${look}`
        : `${look};\nselect pg_catalog.nextval('pgrep.build') as build`;
    const rows = (await this.#session.script(text)).flatMap((result) => result.rows);
    const peek = readPeek(
      rows.find((row) => 'snapshot' in row),
      watched,
    );
    const build = rows.find((row) => 'build' in row)?.['build'];
    return { peek, build: typeof build === 'string' ? build : null };
  }

  /** Decides where the batch ends when the look found more than `maxBatchRows` keys. */
  async extent(peek: Peek, watched: readonly WatchedQueue[], maxBatchRows: number): Promise<BatchExtent> {
    const keys = [...peek.changed.values()].reduce((sum, changed) => sum + changed.keys, 0);
    if (keys <= maxBatchRows) return { cutoff: null, position: peek.snapshot };
    const { rows } = await this.#session.query(cutoffSql(watched.filter(({ queue }) => peek.changed.has(queue.tableId)), maxBatchRows)); // prettier-ignore
    const cutoff = rows[0]?.['cutoff'];
    if (typeof cutoff !== 'string') return { cutoff: null, position: peek.snapshot };
    return { cutoff, position: showSnapshot(cutSnapshot(parseSnapshot(peek.snapshot), BigInt(cutoff))) };
  }

  /** Opens a view without a look, for keys that are known (a retry, a chunk of a copy). */
  async open(): Promise<{ snapshot: string; build: string | null }> {
    const draw = this.#protocol === 'build' ? `select pg_catalog.nextval('pgrep.build') as build` : null;
    const build = draw === null ? null : String((await this.#session.query(draw)).rows[0]?.['build']);
    const rows = (await this.#session.script(`${beginView};\nselect pg_catalog.pg_current_snapshot()::text as snapshot`)).flatMap((result) => result.rows); // prettier-ignore
    return { snapshot: String(rows[0]?.['snapshot']), build };
  }

  /** Opens the rows' snapshot where the look has not. */
  async view(build: string | null): Promise<SourceView> {
    if (this.#protocol === 'build') await this.#session.script(beginView);
    return this.opened(build);
  }

  /** The view that `open` has begun. */
  opened(build: string | null): SourceView {
    let hashed = false;
    return {
      build,
      copyOut: (sql, byHash = false) => {
        const plans = byHash ? byHashPlans : byIndexPlans;
        const first = byHash === hashed ? undefined : plans;
        hashed = byHash;
        return this.#session.copyOut(sql, first);
      },
      query: async (sql) => (await this.#session.query(sql)).rows,
    };
  }

  /** Ends the view, if one is open, so that it holds nothing back at the source. */
  async end(): Promise<void> {
    await this.#session.script('commit');
  }

  // Planning a look over many tables costs more than running it, so it is prepared, as long as all tables stand at one snapshot.
  async #lookSql(lookedAt: LookedAt, limitRows: number): Promise<string> {
    const { watched } = lookedAt;
    const snapshot = watched[0]?.snapshot;
    if (snapshot === undefined || watched.some((each) => each.snapshot !== snapshot)) {
      return peekSql(lookedAt, limitRows, (each) => unseenCondition(each.snapshot, null));
    }
    const { sql, hasXip } = unseenArguments(snapshot);
    const text = peekSql(lookedAt, limitRows, () => unseenParameters(hasXip));
    let name = this.#prepared.get(text);
    if (name === undefined) {
      if (this.#prepared.size >= maxPrepared) await this.#forget();
      name = `pgrep_look_${this.#prepared.size + 1}`;
      await this.#session.script(`prepare ${name} (xid8, xid8[]) as ${text}`);
      this.#prepared.set(text, name);
    }
    return `execute ${name} ${sql}`;
  }

  async #forget(): Promise<void> {
    await this.#session.script('deallocate all');
    this.#prepared.clear();
  }
}

// With and without open transactions in the position, before and after a change of routes; more means that routes keep changing.
const maxPrepared = 8;

const beginView = 'begin isolation level repeatable read, read only';
// The planner cannot know how many keys the arrays of a queue hold, so it is told how to join.
const byHashPlans = 'set local enable_hashjoin = on; set local enable_seqscan = on; set local enable_nestloop = off';
const byIndexPlans = 'set local enable_hashjoin = off; set local enable_seqscan = off; set local enable_nestloop = on';
