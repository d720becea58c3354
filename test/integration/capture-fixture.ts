import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { expect } from 'vitest';
import { installCapture, type Capture } from '../../src/capture/install-capture.ts';
import type { TableName } from '../../src/core/route.ts';
import { ident, tableIdent } from '../../src/db/quote.ts';
import type { PostgresServer } from '../support/postgres.ts';

export const never = new AbortController().signal;
let databases = 0;

/** A client of a new database with the schema pgrep. */
export async function newDatabase(server: PostgresServer): Promise<pg.Client> {
  const url = await server.createDatabase(`capture_${++databases}`);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await installSchema(client);
  return client;
}

export async function installSchema(client: pg.Client): Promise<void> {
  const folder = new URL('../../sql/migrations/', import.meta.url);
  for (const file of readdirSync(folder).sort()) await client.query(readFileSync(new URL(file, folder), 'utf8'));
}

/** What happened to a table, as sets of keys in text: `row(k1, k2)::text`. */
export interface Changes {
  /** Keys whose row appeared, disappeared or changed, by comparing the table. */
  readonly changed: readonly string[];
  /** Keys in the queue. */
  readonly queued: readonly string[];
  readonly markers: number;
  readonly queueRows: number;
}

/** A captured table under test. */
export class CapturedTable {
  readonly client: pg.Client;
  readonly table: TableName;
  readonly capture: Capture;

  constructor(client: pg.Client, table: TableName, capture: Capture) {
    this.client = client;
    this.table = table;
    this.capture = capture;
  }

  static async of(client: pg.Client, name: string | TableName, key?: readonly string[]): Promise<CapturedTable> {
    const table = typeof name === 'string' ? { schema: 'public', name } : name;
    const options = { table, nodeId: 7, ...(key === undefined ? {} : { key }) };
    return new CapturedTable(client, table, await installCapture(client, options, never));
  }

  get queue(): string {
    return `pgrep.queue_${this.capture.tableId}`;
  }

  /** Empties the queue, runs `work`, and compares what changed with what was queued. */
  async during(work: string | (() => Promise<void>)): Promise<Changes> {
    await this.client.query(`truncate ${this.queue}`);
    const before = await this.rows();
    if (typeof work === 'string') await this.client.query(work);
    else await work();
    const after = await this.rows();
    const keys = new Set([...before.keys(), ...after.keys()]);
    const changed = [...keys].filter((key) => before.get(key) !== after.get(key)).sort();
    return { changed, ...(await this.queued()) };
  }

  async rows(): Promise<ReadonlyMap<string, string>> {
    const { rows } = await this.client.query<{ key: string; row: string }>(
      `select row(${this.capture.key.map((name) => `t.${ident(name)}`).join(', ')})::text as key, t::text as row from ${tableIdent(this.table)} t`,
    );
    return new Map(rows.map((row) => [row.key, row.row]));
  }

  /** Distinct keys in the queue, under a condition on alias `q`. */
  async queued(condition = 'true'): Promise<Omit<Changes, 'changed'>> {
    const names = this.capture.key.map((_, place) => `k${place + 1}`);
    const from = this.capture.packed
      ? `rows from (${names.map((name) => `unnest(q.${name})`).join(', ')}) as k (${names.join(', ')})`
      : `(select ${names.map((name) => `q.${name}`).join(', ')}) as k`;
    const { rows } = await this.client.query<{ key: string }>(
      `select distinct (row(${names.map((name) => `k.${name}`).join(', ')})::text) collate "C" as key
       from ${this.queue} q cross join lateral ${from} where not q.truncated and ${condition} order by 1`,
    );
    const counts = await this.client.query<{ markers: number; total: number }>(
      `select count(*) filter (where q.truncated)::integer as markers, count(*)::integer as total from ${this.queue} q where ${condition}`,
    );
    const { markers = 0, total = 0 } = counts.rows[0] ?? {};
    return { queued: rows.map((row) => row.key).sort(), markers, queueRows: total };
  }
}

/** Runs the statements and expects that exactly the changed keys were queued, some at least. */
export async function exactly(table: CapturedTable, work: string): Promise<void> {
  const { changed, queued } = await table.during(work);
  expect(changed).not.toEqual([]);
  expect(queued).toEqual(changed);
}
