import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { addTable } from '../../src/app/add-table.ts';
import { openApp, type App } from '../../src/app/open.ts';
import { removeTable } from '../../src/app/remove-table.ts';
import type { AddTableOptions, AddTableResult, RemoveTableResult } from '../../src/app/results.ts';
import { loadConfig } from '../../src/config/config.ts';
import { runPgrep, spawnPgrep, type PgrepExit, type PgrepProcess } from '../support/daemon.ts';
import type { PostgresServer } from '../support/postgres.ts';

export type Row = Readonly<Record<string, unknown>>;

const never = new AbortController().signal;

/** Databases that are nodes of one configuration, and the commands on it. The first is home. */
export class Mesh implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pgrep-mesh-'));
  readonly nodes: readonly string[];
  readonly #urls: Readonly<Record<string, string>>;
  readonly #pools: Readonly<Record<string, pg.Pool>>;

  /** Makes a database `<name>_<node>` for each node and runs `sql` in all of them. */
  static async create(
    server: PostgresServer,
    name: string,
    options: { nodes: readonly string[]; sql: string },
  ): Promise<Mesh> {
    const urls: Record<string, string> = {};
    for (const node of options.nodes) urls[node] = await server.createDatabase(`${name}_${node}`);
    return await Mesh.over(urls, options.sql);
  }

  /** Nodes whose databases are there, by name; runs `sql` in all of them. */
  static async over(urls: Readonly<Record<string, string>>, sql: string): Promise<Mesh> {
    const mesh = new Mesh(urls);
    for (const node of mesh.nodes) await mesh.sql(node, sql);
    return mesh;
  }

  private constructor(urls: Readonly<Record<string, string>>) {
    this.#urls = urls;
    this.nodes = Object.keys(urls);
    this.#pools = Object.fromEntries(Object.entries(urls).map(([node, url]) => [node, pool(url)]));
    this.configure();
  }

  /** Writes `pgrep.json`; `urls` replaces nodes' own or adds nodes. */
  configure(urls: Readonly<Record<string, string>> = {}): void {
    const nodes = Object.fromEntries(Object.entries({ ...this.#urls, ...urls }).map(([node, url]) => [node, url.startsWith('http') ? { elasticsearch: url } : { postgres: url }])); // prettier-ignore
    writeFileSync(join(this.folder, 'pgrep.json'), JSON.stringify({ home: this.nodes[0], nodes }));
  }

  async sql(node: string, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const found = this.#pools[node];
    if (found === undefined) throw new Error(`There is no node ${node}.`);
    const result: unknown = await found.query(text, [...values]);
    return (Array.isArray(result) ? (result.at(-1) as pg.QueryResult<Row>) : (result as pg.QueryResult<Row>)).rows;
  }

  url(node: string): string {
    return this.#urls[node] ?? '';
  }

  /** The answers of all nodes, by node. */
  async everywhere(text: string): Promise<Readonly<Record<string, readonly Row[]>>> {
    return Object.fromEntries(
      await Promise.all(this.nodes.map(async (node) => [node, await this.sql(node, text)] as const)),
    );
  }

  app(): App {
    return openApp({ config: loadConfig(join(this.folder, 'pgrep.json'), {}) });
  }

  /** `add-table public.t --two-way`, but for what `options` says. */
  async add(options: Partial<AddTableOptions> & { readonly to: readonly string[] }): Promise<AddTableResult> {
    await using app = this.app();
    const defaults = {
      table: { schema: 'public', name: 't' },
      copy: true,
      replace: false,
      dryRun: false,
      twoWay: true,
    };
    return await addTable(app, { ...defaults, ...options }, () => undefined, never);
  }

  async pgrep(...args: string[]): Promise<PgrepExit> {
    return await runPgrep(args, { cwd: this.folder, env: { PGREP_CONFIG: undefined } });
  }

  spawn(...args: string[]): PgrepProcess {
    return spawnPgrep(args, { cwd: this.folder, env: { PGREP_CONFIG: undefined } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.#pools).map((each) => each.end()));
    rmSync(this.folder, { recursive: true });
  }
}

export const tableSql = 'create table public.t (id integer primary key, n integer, info text)';
export const fill = "insert into public.t select i, i, 'row ' || i from generate_series(1, 20) i";

/** `remove-table public.t`. */
export async function remove(
  mesh: Mesh,
  options: { from?: string; to?: readonly string[] } = {},
): Promise<RemoveTableResult> {
  await using app = mesh.app();
  return await removeTable(app, { table: { schema: 'public', name: 't' }, dryRun: false, ...options }, never);
}

/** The routes that each node has, one line each. */
export async function layout(mesh: Pick<Mesh, 'everywhere'>): Promise<Readonly<Record<string, readonly unknown[]>>> {
  const all = await mesh.everywhere(routeLines);
  return Object.fromEntries(Object.entries(all).map(([node, rows]) => [node, rows.map(({ line }) => line)]));
}

/** What `layout` shows of a two-way route's options by default. */
export const wins = ' {"policy": "last-write-wins"}';

const routeLines = `select c.table_name || '->' || r.target || '.' || r.target_table || ' ' || r.state
  || coalesce(' ' || (r.options - 'copyAnew' - 'twoWay')::text, '') || case when r.options @> '{"twoWay": true}' then '' else ' one-way' end as line
  from pgrep.route r join pgrep.captured_table c using (table_id) order by r.target`;

function pool(url: string): pg.Pool {
  const made = new pg.Pool({ connectionString: url, max: 4 });
  made.on('error', () => undefined);
  return made;
}
