import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { runPgrep, spawnPgrep, type PgrepExit, type PgrepProcess } from '../support/daemon.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

export type Node = 'local' | 'remote';
export type Records = readonly Record<string, unknown>[];

/** Two databases, the configuration that names them, and the commands on it. */
export class Pair implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'pgrep-pair-'));
  /** Where the tests look, past every proxy. */
  readonly url: Readonly<Record<Node, string>>;
  private readonly pools: Readonly<Record<Node, pg.Pool>>;

  constructor(url: Readonly<Record<Node, string>>) {
    this.url = url;
    this.pools = { local: pool(url.local), remote: pool(url.remote) };
    this.configure({});
  }

  /** Makes the databases `<name>_local` and `<name>_remote`. */
  static async create(name: string, servers: Readonly<Record<Node, PostgresServer>>): Promise<Pair> {
    const local = await servers.local.createDatabase(`${name}_local`);
    return new Pair({ local, remote: await servers.remote.createDatabase(`${name}_remote`) });
  }

  /** Writes `pgrep.json`; `url` replaces nodes' own, for proxies and other roles. */
  configure(options: {
    readonly url?: Partial<Record<Node, string>>;
    readonly replayer?: Readonly<Record<string, number>>;
    readonly nodes?: Readonly<Record<string, unknown>>;
  }): void {
    const url = { ...this.url, ...options.url };
    const nodes = { local: { postgres: url.local }, remote: { postgres: url.remote }, ...options.nodes };
    const replayer = options.replayer === undefined ? {} : { replayer: options.replayer };
    writeFileSync(join(this.folder, 'pgrep.json'), JSON.stringify({ home: 'local', nodes, ...replayer }));
  }

  async sql(node: Node, text: string, values: readonly unknown[] = []): Promise<Records> {
    const result: unknown = await this.pools[node].query(text, [...values]);
    const last = Array.isArray(result) ? (result.at(-1) as pg.QueryResult) : (result as pg.QueryResult);
    return last.rows as Records;
  }

  async both(text: string): Promise<void> {
    await this.sql('local', text);
    await this.sql('remote', text);
  }

  /** The one value of a one-row answer. */
  async value(node: Node, text: string): Promise<unknown> {
    return Object.values((await this.sql(node, text))[0] ?? {})[0];
  }

  async pgrep(...args: string[]): Promise<PgrepExit> {
    return await runPgrep(args, { cwd: this.folder, env: { PGREP_CONFIG: undefined } });
  }

  /** Runs a command that must succeed and gives its `--json` result. */
  async json(...args: string[]): Promise<unknown> {
    const { code, stdout, stderr } = await this.pgrep(...args, '--json');
    if (code !== 0) throw new Error(`pgrep ${args.join(' ')} ended with ${String(code)}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  }

  /** The first link of `status`. */
  async link(): Promise<Record<string, unknown>> {
    return ((await this.json('status')) as { links: Record<string, unknown>[] }).links[0] ?? {};
  }

  /** Starts a daemon; ready when it says that it replays. */
  async daemon(...args: string[]): Promise<PgrepProcess> {
    const daemon = this.spawn('run', ...args);
    await daemon.says(/"msg":"replaying"/);
    return daemon;
  }

  spawn(...args: string[]): PgrepProcess {
    return spawnPgrep(args, { cwd: this.folder, env: { PGREP_CONFIG: undefined } });
  }

  /** Until everything committed by now has arrived. */
  async arrive(seconds = 60): Promise<void> {
    await this.json('wait', '--timeout', String(seconds));
  }

  /** Fails unless a query gives the same at both nodes. */
  async expectEqual(text: string, remoteText = text): Promise<void> {
    const [local, remote] = await Promise.all([this.sql('local', text), this.sql('remote', remoteText)]);
    expect(remote).toEqual(local);
  }

  async untilEqual(text: string, deadlineMs = 60_000): Promise<void> {
    await waitFor(
      async () => JSON.stringify(await this.sql('local', text)) === JSON.stringify(await this.sql('remote', text)),
      { what: `both nodes to answer the same to: ${text}`, deadlineMs },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values(this.pools).map((each) => each.end()));
    rmSync(this.folder, { recursive: true });
  }
}

function pool(url: string): pg.Pool {
  const made = new pg.Pool({ connectionString: url, max: 4 });
  // A server that is killed under an idle connection is part of some tests.
  made.on('error', () => undefined);
  return made;
}

/** Makes the target count what is done to `public.t`: one row an operation, also under replica role. */
export const auditSql = `create table public.audit (operation text, id integer);
create function public.note() returns trigger language plpgsql as $$
begin
  insert into public.audit values (tg_op, coalesce(new.id, old.id));
  return null;
end $$;
create trigger note after insert or update or delete on public.t for each row execute function public.note();
alter table public.t enable always trigger note;`;

/** Contents of `public.t` in one value. */
export const digest = `select count(*)::integer as rows, md5(string_agg(t::text, ',' order by t.id)) as sum from public.t`;
