import pg from 'pg';
import { expect } from 'vitest';
import {
  addTable,
  openApp,
  runDaemon,
  Secret,
  status,
  waitForTargets,
  type AddTableOptions,
  type App,
  type Config,
  type ErrorRecord,
  listErrors,
} from '../../src/index.ts';
import type { PostgresServer } from '../support/postgres.ts';

/** How a pair is made. */
export interface PairOptions {
  readonly server: PostgresServer;
  /** Where the target's database is; default: the same server. */
  readonly targetServer?: PostgresServer;
  /** Statements for both databases. */
  readonly sql?: string;
  readonly sourceSql?: string;
  readonly targetSql?: string;
  /** False: the target's role is an ordinary one, so that foreign keys are checked and triggers fire there. */
  readonly replicaRole?: boolean;
  readonly maxBatchRows?: number;
  /** Replaces the target's URL, for example by a proxy's. */
  readonly targetUrl?: (url: string) => string;
}

let pairs = 0;

/** A source and a target database with clients of their own and the application between them. */
export class Pair implements AsyncDisposable {
  readonly app: App;
  readonly source: pg.Client;
  readonly target: pg.Client;
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly targetRole: string;
  readonly batches: { keys: number; held: number }[] = [];
  readonly #stop = new AbortController();
  #daemon: Promise<void> | undefined;

  static async open(options: PairOptions): Promise<Pair> {
    const { server, targetServer = server, replicaRole = true } = options;
    const number = ++pairs;
    const sourceUrl = await server.createDatabase(`source_${number}`);
    const targetUrl = await targetServer.createDatabase(`target_${number}`);
    const source = await connect(sourceUrl);
    const admin = await connect(targetUrl);
    const role = `replica_${number}`;
    await admin.query(`create role ${role} login ${replicaRole ? 'superuser' : ''}`);
    await admin.query(`alter database target_${number} owner to ${role}; alter schema public owner to ${role}`);
    await admin.end();
    const roleUrl = targetServer.url(`target_${number}`, role);
    const target = await connect(roleUrl);
    await source.query([options.sql, options.sourceSql].filter((sql) => sql !== undefined).join(';\n'));
    await target.query([options.sql, options.targetSql].filter((sql) => sql !== undefined).join(';\n'));
    return new Pair({
      source,
      target,
      role,
      sourceUrl,
      targetUrl: roleUrl,
      config: config(sourceUrl, (options.targetUrl ?? same)(roleUrl), options),
    });
  }

  private constructor(parts: {
    source: pg.Client;
    target: pg.Client;
    role: string;
    sourceUrl: string;
    targetUrl: string;
    config: Config;
  }) {
    this.source = parts.source;
    this.target = parts.target;
    this.sourceUrl = parts.sourceUrl;
    this.targetUrl = parts.targetUrl;
    this.targetRole = parts.role;
    this.app = openApp({
      config: parts.config,
      onBatch: (batch) => this.batches.push({ keys: batch.keys, held: batch.held }),
    });
  }

  /** Replicates tables of schema public, each by its name. */
  async add(...names: readonly string[]): Promise<void> {
    for (const name of names) await this.addTable({ table: { schema: 'public', name } });
  }

  async addTable(options: Pick<AddTableOptions, 'table'> & Partial<AddTableOptions>): Promise<void> {
    const full = { to: ['remote'], copy: true, replace: false, dryRun: false, ...options };
    await addTable(this.app, full, () => undefined, never);
  }

  /** Starts the daemon; it ends with the pair. */
  run(): void {
    this.runUntil(this.#stop.signal);
  }

  /** Starts the daemon; `stopped` waits for its end. */
  runUntil(signal: AbortSignal): void {
    this.#daemon = runDaemon(this.app, {}, AbortSignal.any([signal, this.#stop.signal]));
  }

  async stopped(): Promise<void> {
    await this.#daemon;
  }

  /** What the daemon says of the link, read past the application: the target need not be there. */
  async linkState(): Promise<{ state: string; lastError: string }> {
    const [text = '{}'] = await one(
      this.source,
      "select json_build_object('state', state, 'lastError', last_error)::text from pgrep.link_state",
    );
    return JSON.parse(text) as { state: string; lastError: string };
  }

  /** Waits until all that was committed has reached the target or is held. */
  async settle(timeoutSeconds = 40): Promise<void> {
    const { reached } = await waitForTargets(this.app, { timeoutSeconds }, never);
    if (!reached) throw new Error(`not reached: ${JSON.stringify(await status(this.app, never))}`);
  }

  /** Runs statements at the source, one transaction each call, and waits until they have arrived. */
  async change(sql: string): Promise<void> {
    await this.source.query(sql);
    await this.settle();
  }

  /** Expects that tables of both sides hold the same, as text; gives the rows of the last one. */
  async expectEqual(...tables: readonly string[]): Promise<readonly string[]> {
    let last: readonly string[] = [];
    for (const table of tables) {
      last = await texts(this.source, table);
      expect(await texts(this.target, table), table).toEqual(last);
    }
    return last;
  }

  async errors(): Promise<readonly ErrorRecord[]> {
    return listErrors(this.app, {}, never);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#daemon;
    await this.app[Symbol.asyncDispose]();
    await this.source.end();
    await this.target.end();
  }
}

export const never = new AbortController().signal;

function same(url: string): string {
  return url;
}

function config(source: string, target: string, options: PairOptions): Config {
  return {
    home: 'local',
    nodes: {
      local: { kind: 'postgres', postgres: new Secret(source), replicaRole: true },
      remote: { kind: 'postgres', postgres: new Secret(target), replicaRole: options.replicaRole ?? true },
    },
    replayer: {
      maxBatchRows: options.maxBatchRows ?? 200_000,
      pollMs: 20,
      copyChunkRows: 1_000,
      maxClockSkewMs: 300_000,
      conflictRetentionDays: 30,
    },
  };
}

export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** All rows of a table as text, sorted bytewise. */
async function texts(client: pg.Client, table: string): Promise<readonly string[]> {
  return one(client, `select t::text from ${table} t order by (t::text) collate "C"`);
}

/** The first column of a query's rows. */
export async function one(client: pg.Client, sql: string): Promise<readonly string[]> {
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  return rows.map(([value]) => String(value));
}
