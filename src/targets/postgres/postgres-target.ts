import { PgrepError } from '../../core/error.ts';
import type { Logger } from '../../core/logger.ts';
import { showTable, type Link, type Route } from '../../core/route.ts';
import type { PostgresAddress } from '../../db/session.ts';
import { sqlState } from '../../db/sqlstate.ts';
import { renewSql } from '../../versions/renew-sql.ts';
import type { Applied, Batch, LinkPosition, Target } from '../target.ts';
import { createLiveSql, createStageSql, stageSweepSql } from './apply-sql.ts';
import { applyCarefully } from './careful-apply.ts';
import { openTargetConnection, type TargetConnection } from './connection.ts';
import { emptyStages, fastStatements } from './fast-apply.ts';
import { joinedSql, markSql, readPosition } from './position-store.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { isRowError, mayBeStatement } from './savepoint.ts';
import { fillStage, type StagedTable } from './stage.ts';
import { parentsFirst } from './table-order.ts';
import { clockAhead, clockState } from './two-way/clock.ts';
import { Folding } from './two-way/folding.ts';
import { TwoWayBatch } from './two-way/two-way-batch.ts';
import { readTargetTable, type TargetTable } from './target-table.ts';

export interface PostgresTargetOptions {
  readonly link: Link;
  readonly address: PostgresAddress;
  /** Apply with `session_replication_role = replica` where the role may set it: foreign keys are not checked, user triggers do not fire. */
  readonly replicaRole: boolean;
  /** How far a version that arrives may be ahead of the target's clock, ms. */
  readonly maxClockSkewMs: number;
  readonly logger: Logger;
}

/** Opens a Postgres target: connects and sets the session up. Throws `unreachable` or `privilege`. */
export async function openPostgresTarget(options: PostgresTargetOptions): Promise<Target> {
  const connection = await openTargetConnection(options.address);
  try {
    const session = await setUpSession(connection, options);
    return new PostgresTarget(options, connection, session);
  } catch (error) {
    connection.destroy();
    throw connection.failure(error);
  }
}

interface SessionFacts {
  readonly version: number;
  readonly replica: boolean;
}

// A batch's commit need not be flushed at once: position and rows are lost together, and the queue keeps what is not flushed
// (marks with `durable` wait for the flush, and with it for all before them). Plans go by index unless a batch is large.
const sessionSettings = `set synchronous_commit = off;
set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off`;

async function setUpSession(connection: TargetConnection, options: PostgresTargetOptions): Promise<SessionFacts> {
  const rows = await connection.script(
    `${sessionSettings};
select pg_catalog.current_setting('server_version_num') as version, r.rolsuper::text as super
from pg_catalog.pg_roles r where r.rolname = current_user`,
  );
  const version = Number(rows[0]?.['version']);
  const replica = options.replicaRole && (await maySetReplicaRole(connection, version, rows[0]?.['super'] === 'true'));
  if (replica) await connection.script('set session_replication_role = replica');
  options.logger.debug({ target: options.link.target, version, replica }, 'connected to the target');
  return { version, replica };
}

async function maySetReplicaRole(connection: TargetConnection, version: number, superuser: boolean): Promise<boolean> {
  // Before 15 the privilege cannot be granted: only superusers have it.
  if (superuser || version < 150000) return superuser;
  const rows = await connection.script(
    "select pg_catalog.has_parameter_privilege('session_replication_role', 'set')::text as may",
  );
  return rows[0]?.['may'] === 'true';
}

class PostgresTarget implements Target {
  readonly reading = 'snapshot';
  readonly #options: PostgresTargetOptions;
  readonly #connection: TargetConnection;
  readonly #session: SessionFacts;
  #tables: ReadonlyMap<string, TargetTable> = new Map();
  readonly #staged = new Set<string>();
  readonly #prepared = new PreparedStatements();
  readonly #folding = new Folding();
  #smallBatches = 0;

  constructor(options: PostgresTargetOptions, connection: TargetConnection, session: SessionFacts) {
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
  }

  async prepare(routes: readonly Route[]): Promise<void> {
    await this.#guard(async () => {
      const tables: TargetTable[] = [];
      for (const route of routes) tables.push(await readTargetTable(this.#connection, route));
      const versioned = tables.flatMap((table) => (table.versioned === null ? [] : [table.versioned.tableId]));
      if (versioned.length > 0) await this.#connection.script(renewSql(versioned).join(';\n'));
      // Stage tables of changed routes are made anew; prepared merges go with them.
      const stale = [...this.#staged].map(
        (id) => `drop table if exists pg_temp.pgrep_stage_${id}, pg_temp.pgrep_live_${id};`,
      );
      if (stale.length > 0) await this.#connection.script([`${this.#prepared.forget()};`, ...stale].join('\n'));
      this.#staged.clear();
      this.#tables = new Map(parentsFirst(tables).map((table) => [table.route.id, table]));
    });
  }

  // A row whose delete comes only in a later transaction is dead already when an earlier one brings its key.
  get wholeBatches(): boolean {
    return !this.#session.replica && [...this.#tables.values()].some((table) => table.deleteCascades);
  }

  async position(): Promise<LinkPosition> {
    return this.#guard(() => readPosition(this.#connection, this.#options.link));
  }

  async apply(batch: Batch, signal: AbortSignal): Promise<Applied> {
    const stop = (): void => {
      this.#connection.destroy();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await this.#guard(() => this.#applyOrRetry(batch));
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connection.destroy();
    return Promise.resolve();
  }

  async #applyOrRetry(batch: Batch): Promise<Applied> {
    const tables = await this.#stagedTables(batch);
    try {
      return await this.#applyFast(batch, tables);
    } catch (error) {
      if (sqlState(error) === clockState) throw clockAhead(this.#options.link, error);
      if (this.#connection.closed || error instanceof PgrepError || !isRowError(error)) throw error;
      await this.#connection.script(`rollback; ${this.#prepared.forget()}`);
      if (mayBeStatement(error)) await this.#checkTables(tables);
      return this.#applyCarefully(batch, tables);
    }
  }

  async #applyFast(batch: Batch, tables: readonly StagedTable[]): Promise<Applied> {
    const exchange = this.#exchange(batch, tables);
    await exchange?.foldFirst();
    const staged = await this.#begin(batch, tables, 'set constraints all deferred');
    if (!staged) return notCommitted;
    const small = tables.every(({ changed }) => changed.small && !changed.sweep && !changed.versions?.floor);
    const statements = fastStatements(tables, {
      small,
      mergeable: this.#session.version >= 150000,
      replica: this.#session.replica,
    });
    if (!small) this.#smallBatches = 0;
    else if (tables.length > 0) this.#smallBatches += 1;
    const truncate = !small || this.#smallBatches % truncateEvery === 0;
    const empty = emptyStages(tables, truncate);
    if (exchange !== null) return exchange.apply({ merges: statements, empty, small });
    const joined = joinedSql(this.#options.link, batch.mark);
    const all = small
      ? [...this.#prepared.executes(statements), ...(truncate ? empty : this.#prepared.executes(empty))]
      : [...statements, ...empty];
    await this.#connection.script([...all, ...joined, 'commit'].join(';\n'));
    return { committed: true, keys: null, held: 0 };
  }

  async #applyCarefully(batch: Batch, tables: readonly StagedTable[]): Promise<Applied> {
    const staged = await this.#begin(batch, tables, 'set constraints all immediate');
    if (!staged) return notCommitted;
    for (const { table, changed } of tables)
      if (changed.sweep) await this.#connection.script(`${joins('on')};\n${stageSweepSql(table)};\n${joins('off')}`);
    const exchange = this.#exchange(batch, tables);
    const conflicts = (await exchange?.judge()) ?? 0;
    const refused = await applyCarefully(this.#connection, tables.map(({ table }) => table), this.#session.replica); // prettier-ignore
    if (!((await exchange?.settle(refused)) ?? true)) return notCommitted;
    if (refused.length > 0) await batch.hold(refused.map(({ row }) => row));
    const joined = exchange === null ? joinedSql(this.#options.link, batch.mark) : [];
    await this.#connection.script([...emptyStages(tables, true), ...joined, 'commit'].join(';\n'));
    return { committed: true, keys: null, held: refused.length + conflicts };
  }

  #exchange(batch: Batch, tables: readonly StagedTable[]): TwoWayBatch | null {
    if (batch.exchange === undefined) return null;
    return new TwoWayBatch({
      batch,
      exchange: batch.exchange,
      tables,
      joined: joinedSql(this.#options.link, batch.mark),
      connection: this.#connection,
      prepared: this.#prepared,
      folding: this.#folding,
      maxClockSkewMs: this.#options.maxClockSkewMs,
    });
  }

  /** Throws `target` when a table is no longer what it was when the statements for it were built: then no row is at fault. */
  async #checkTables(tables: readonly StagedTable[]): Promise<void> {
    for (const { table } of tables) {
      const now = await readTargetTable(this.#connection, table.route);
      if (JSON.stringify(now) === JSON.stringify(table)) continue;
      throw new PgrepError(
        'target',
        `Table ${showTable(table.route.targetTable)} of node ${table.route.target} was changed.`,
        {
          hint: 'Nothing is to be done: the link begins again with the table as it is now.',
        },
      );
    }
  }

  /** Begins the transaction, moves fence and position, fills the stages. False: the fence had moved, and all is rolled back. */
  async #begin(batch: Batch, tables: readonly StagedTable[], constraints: string): Promise<boolean> {
    // What a node says that it has seen must not be forgotten by a crash: others let go of versions for it.
    const durable = batch.mark.kind !== 'position' || batch.mark.durable || batch.exchange !== undefined;
    const mark = markSql(this.#options.link, batch);
    // Sent together with the first COPY; whether the fence stood is known before anything is merged.
    const begun = this.#connection.script(
      `begin;\n${mark}\n${durable ? 'set local synchronous_commit = on;\n' : ''}${constraints}`,
    );
    begun.catch(() => undefined);
    for (const staged of tables) await fillStage(this.#connection, batch, staged);
    if ((await begun).some((row) => row['fenced'] === 1 || row['fenced'] === '1')) return true;
    await this.#connection.script('rollback');
    return false;
  }

  async #stagedTables(batch: Batch): Promise<readonly StagedTable[]> {
    const changed = new Map(batch.tables.map((each) => [each.route.id, each]));
    const staged = [...this.#tables.values()].flatMap((table) => {
      const part = changed.get(table.route.id);
      return part === undefined ? [] : [{ table, changed: part }];
    });
    if (staged.length !== batch.tables.length)
      throw new PgrepError('bug', 'A batch has a table that its target was not prepared for.');
    const missing = staged.filter(({ table }) => !this.#staged.has(table.route.id));
    if (missing.length > 0)
      await this.#connection.script(
        missing.map(({ table }) => `${createStageSql(table)}\n${createLiveSql(table)}`).join('\n'),
      );
    for (const { table } of missing) this.#staged.add(table.route.id);
    return staged;
  }

  async #guard<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      // What was begun is rolled back with the connection; the caller opens a new one.
      this.#connection.destroy();
      throw this.#connection.failure(error);
    }
  }
}

// Only for the sweep, which compares whole tables: the parts that follow go by index.
const joins = (state: 'on' | 'off'): string =>
  `set local enable_hashjoin = ${state}; set local enable_seqscan = ${state}`;

// Deleted rows leave line pointers behind; a TRUNCATE now and then keeps a stage at a few pages.
const truncateEvery = 500;

const notCommitted: Applied = { committed: false, keys: 0, held: 0 };
