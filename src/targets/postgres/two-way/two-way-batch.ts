import { backoffMs } from '../../../core/backoff.ts';
import { pause } from '../../../core/timing.ts';
import { literal } from '../../../db/quote.ts';
import { sqlState } from '../../../db/sqlstate.ts';
import { arrivalLock } from '../../../versions/version-sql.ts';
import type { Seen, SeenByTable, TablesSeen } from '../../../versions/seen.ts';
import type { Applied, Batch, Exchange, RefusedRow } from '../../target.ts';
import { stageName } from '../apply-sql.ts';
import { describeStaged, type RefusedStaged } from '../careful-apply.ts';
import type { TargetConnection, TargetRow } from '../connection.ts';
import type { PreparedStatements } from '../prepared-statements.ts';
import type { StagedTable } from '../stage.ts';
import type { Folding } from './folding.ts';
import {
  beforeSetting,
  guardSql,
  joiningSetting,
  judgeSql,
  seenSetting,
  settings,
  stageTruncatedSql,
} from './judge-sql.ts';
import { keepUnfoldedSql, lockRowsSql } from './lock-sql.ts';
import { isMeeting, type MeetingTable } from './meeting.ts';
import { rememberSeenSql, seenJson } from './seen-sql.ts';
import { forwardNewerSql, forwardSql, raiseFloorSql, stopIfRacedSql, writeVersionsSql } from './settle-sql.ts';
import { recordUniqueSql } from './unique-conflict-sql.ts';

export interface TwoWayParts {
  readonly batch: Batch;
  readonly exchange: Exchange;
  readonly tables: readonly StagedTable[];
  /** Statements by which copied tables join the link. Rows are judged before, by what the tables had seen, and versions kept after. */
  readonly joined: readonly string[];
  readonly connection: TargetConnection;
  readonly prepared: PreparedStatements;
  readonly folding: Folding;
  readonly maxClockSkewMs: number;
}

interface MeetingPart {
  readonly table: MeetingTable;
  /** What the table had seen of the sender; empty: nothing. */
  readonly before: string;
  readonly floor: { readonly version: string; readonly xid: string } | null;
}

/** The statements of one apply, in order. */
export interface ApplyStatements {
  readonly merges: readonly string[];
  readonly empty: readonly string[];
  /** Few rows: statements are prepared, and go by index. */
  readonly small: boolean;
}

interface AttemptStatements extends ApplyStatements {
  readonly settle: readonly string[];
}

/**
 * The two-way side of one batch at its target (DESIGN section 7, steps a to e). Rows are staged already, in an open transaction.
 * Losers leave the stage, then what remains is merged as for one-way routes, then versions are written.
 */
export class TwoWayBatch {
  readonly #parts: TwoWayParts;
  readonly #meeting: readonly MeetingPart[];

  constructor(parts: TwoWayParts) {
    this.#parts = parts;
    this.#meeting = parts.tables.flatMap(({ table, changed }) =>
      isMeeting(table)
        ? [{ table, before: changed.versions?.before ?? '', floor: changed.versions?.floor ?? null }]
        : [],
    );
  }

  /** Before the transaction begins. */
  async foldFirst(): Promise<void> {
    await this.#parts.folding.fold(this.#parts.connection, this.#tableIds());
  }

  /**
   * Judges, merges and commits. Where another session was in the way (a lock not given up, a deadlock, an insert in between) the rows
   * are let go for a moment and judged anew. Throws a row's error as it came: then nothing is committed and the caller applies carefully.
   */
  async apply(statements: ApplyStatements): Promise<Applied> {
    const { connection, prepared } = this.#parts;
    const settle = this.#settleStatements();
    const all = [...this.#lockStatements(), ...this.#judgeStatements(true), ...statements.merges, ...settle];
    const prepares = statements.small ? prepared.prepares(all) : [];
    let begin: readonly string[] = [...prepares, 'savepoint pgrep_judged'];
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { committed: true, keys: null, held: await this.#attempt(begin, { ...statements, settle }) };
      } catch (error) {
        if (connection.closed || !inTheWay.has(sqlState(error))) throw error;
        if (attempt >= attempts) return await this.#giveUp(error);
        await connection.script('rollback to savepoint pgrep_judged');
        begin = [];
        await pause(backoffMs(attempt, { baseMs: 10, capMs: 200 }), new AbortController().signal);
      }
    }
  }

  /** Steps a and b by themselves, with the held rows taken out. Gives their number. */
  async judge(): Promise<number> {
    const judge = [...this.#preludes(), ...this.#lockStatements(), ...joins('on'), ...this.#meeting.flatMap(({ table }) => [...guardSql(table), judgeSql(table, true, true)]), ...joins('off')]; // prettier-ignore
    const rows = await this.#parts.connection.script(judge.join(';\n'));
    return await this.#hold(rows);
  }

  /** Steps d and e by themselves, after `refused` rows were found. False: an insert came in between, and all is rolled back. */
  async settle(refused: readonly RefusedStaged[]): Promise<boolean> {
    const { connection } = this.#parts;
    try {
      const raced = this.#meeting.map(({ table }) => stopIfRacedSql(table));
      const unique = refused.flatMap((each) => recordUniqueSql(each));
      const removed = refused.map(({ table, tid }) => `delete from ${stageName(table)} where ctid = '${tid}'::tid`);
      await connection.script(
        [...raced, ...unique, ...removed, ...this.#tellings(), ...this.#settleStatements()].join(';\n'),
      );
      return true;
    } catch (error) {
      if (connection.closed || !inTheWay.has(sqlState(error))) throw error;
      await connection.script('rollback');
      return false;
    }
  }

  async #attempt(begin: readonly string[], { merges, empty, small, settle }: AttemptStatements): Promise<number> {
    const { connection, prepared } = this.#parts;
    const run = (texts: readonly string[]): readonly string[] => (small ? prepared.executes(texts) : texts);
    const judge = [...begin, ...this.#preludes(), ...(small ? [] : byCost), ...run(this.#lockStatements()), ...(small ? joins('on') : []), ...run(this.#judgeStatements(small)), ...(small ? joins('off') : [])]; // prettier-ignore
    // What this node will say that it has seen is known before versions are written; not sooner, other batches of the sender would wait for it.
    const rest = [...run(merges), ...this.#tellings(), ...run(settle), ...empty, 'commit'];
    if (!this.#mayHold()) {
      await connection.script([...judge, ...rest].join(';\n'));
      return 0;
    }
    const held = await this.#hold(await connection.script(judge.join(';\n')));
    await connection.script(rest.join(';\n'));
    return held;
  }

  /** Records the rows that wait for a decision, durably, and takes them out of the stage. */
  async #hold(rows: readonly TargetRow[]): Promise<number> {
    const { connection, batch } = this.#parts;
    const refused: RefusedRow[] = [];
    for (const { table } of this.#meeting) {
      const found = rows.find((row) => row['route'] === table.route.id)?.['held'];
      if (typeof found !== 'string') continue;
      const held = JSON.parse(found) as readonly (readonly [string, string | null])[];
      // Not one by one: the rows are locked, and the connection pipelines.
      refused.push(...(await Promise.all(held.map(([tid, failure]) => describeStaged(connection, { table, tid }, failure === null ? heldConflict : failedFunction(table, failure)))))); // prettier-ignore
      const list = literal(`{${held.map(([tid]) => `"${tid}"`).join(',')}}`);
      await connection.script(`delete from ${stageName(table)} where ctid = any (${list}::tid[])`);
    }
    if (refused.length > 0) await batch.hold(refused);
    return refused.length;
  }

  async #giveUp(error: unknown): Promise<Applied> {
    if (sqlState(error) !== racedState) throw error;
    await this.#parts.connection.script('rollback');
    return { committed: false, keys: 0, held: 0 };
  }

  #mayHold(): boolean {
    return this.#meeting.some(({ table }) => table.route.twoWay?.policy === 'hold');
  }

  #tableIds(): readonly string[] {
    return this.#meeting.toSorted(byTable).map(({ table }) => table.versioned.tableId);
  }

  #preludes(): readonly string[] {
    const { exchange, maxClockSkewMs } = this.#parts;
    return [
      `select pg_catalog.set_config('${settings.sender}', '${exchange.sender}', true)`,
      ...this.#meeting.map(({ table, before }) => `select pg_catalog.set_config('${beforeSetting(table)}', '${before}', true), pg_catalog.set_config('${seenSetting(table)}', ${literal(seenJson(this.#seen(table)))}, true), pg_catalog.set_config('${joiningSetting(table)}', '${this.#copying(table)?.complete === false ? 't' : 'f'}', true)`), // prettier-ignore
      ...this.#meeting.map(({ table }) => `select pgrep.raise_clock((select pg_catalog.max(s.version) from ${stageName(table)} s), ${maxClockSkewMs})`), // prettier-ignore
      // Those who apply to one table take turns.
      `set local lock_timeout = '${turnMs}ms'`,
      ...this.#tableIds().map((id) => `select pg_catalog.pg_advisory_xact_lock(${arrivalLock}, ${id})`),
      // A row that is inserted while its delete is applied must not be folded before the tombstone or floor is there: it would get no version above it.
      ...this.#meeting.toSorted(byTable).map(({ table, floor }) => keepUnfoldedSql(table, floor !== null)),
      `set local lock_timeout = '${rowMs}ms'`,
      ...this.#meeting.flatMap(({ table, floor }) => (floor === null ? [] : [stageTruncatedSql(table, floor)])),
    ];
  }

  // What has been seen from now on, by the sender and here: known when versions are written.
  #tellings(): readonly string[] {
    return [...rememberSeenSql(this.#parts.exchange), ...this.#parts.joined];
  }

  #lockStatements(): readonly string[] {
    return this.#meeting.map(({ table }) => lockRowsSql(table));
  }

  #judgeStatements(small: boolean): readonly string[] {
    return this.#meeting.map(({ table }) => judgeSql(table, small));
  }

  #settleStatements(): readonly string[] {
    return this.#meeting.flatMap(({ table, floor }) => [
      stopIfRacedSql(table),
      writeVersionsSql(table),
      ...forwardSql(table),
      ...(floor === null ? [] : [forwardNewerSql(table, floor), raiseFloorSql(table, floor)]),
    ]);
  }

  #seen(table: MeetingTable): readonly Seen[] {
    const { seen, apart } = this.#parts.exchange.seen;
    return (this.#copying(table) ?? apart.find(tellsOf(table)))?.seen ?? seen;
  }

  // What the sender has seen of a table while that is being copied to it.
  #copying(table: MeetingTable): SeenByTable['copying'][number] | undefined {
    return this.#parts.exchange.seen.copying.find(tellsOf(table));
  }
}

function tellsOf({ route: { sourceTable } }: MeetingTable): (told: TablesSeen) => boolean {
  return ({ tables }) => tables.some(({ schema, name }) => schema === sourceTable.schema && name === sourceTable.name);
}

// As folds take the tables.
function byTable(one: MeetingPart, other: MeetingPart): number {
  return Number(one.table.versioned.tableId) - Number(other.table.versioned.tableId);
}

const racedState = 'PGC02';
// A lock that was not to be had in time, a deadlock, a row that was inserted meanwhile: the rows are let go and judged anew.
const inTheWay: ReadonlySet<string> = new Set(['55P03', '40P01', racedState]);
const attempts = 8;
// Below the server's deadlock_timeout of 1 s: of two that wait for each other this one gives up, not the application.
const rowMs = 300;
// Another link's batch is being applied to the same table.
const turnMs = 10_000;
// Only for what was changed lately and is not indexed; tables and sidecars are looked up by key.
const joins = (state: 'on' | 'off'): readonly string[] => [`set local enable_hashjoin = ${state}`];
const byCost = ['set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on'];

/** `failure`: SQLSTATE and message. */
function failedFunction({ route }: MeetingTable, failure: string): Pick<RefusedRow, 'reason' | 'message'> {
  const [reason = ''] = failure.split(' ', 1);
  return {
    reason,
    message: `policy function ${route.twoWay?.function ?? ''} failed: ${failure.slice(reason.length + 1)}`,
  };
}

const heldConflict: Pick<RefusedRow, 'reason' | 'message'> = {
  reason: 'conflict',
  message: 'changed on two nodes at once; both rows stay until somebody decides (pgrep conflicts list)',
};
