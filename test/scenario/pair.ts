import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { openApp, type App } from '../../src/app/open.ts';
import { loadConfig } from '../../src/config/config.ts';
import { runPgrep, spawnPgrep, type PgrepExit, type PgrepProcess } from '../support/daemon.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { FaultProxy } from '../support/proxy.ts';
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

  /** The first link of `status`, or the first to `target`, whatever the command's exit status says. */
  async link(target?: string): Promise<Record<string, unknown>> {
    const { stdout } = await this.pgrep('status', '--json');
    const { links } = JSON.parse(stdout) as { links: Record<string, unknown>[] };
    return links.find((each) => target === undefined || each['target'] === target) ?? {};
  }

  /** Opens the application on the pair's configuration, for tests that need no process of their own. */
  app(): App {
    return openApp({ config: loadConfig(join(this.folder, 'pgrep.json'), {}) });
  }

  /** Everything that a database's catalogs and pgrep's own tables hold, one line an object. */
  async catalog(node: Node): Promise<readonly string[]> {
    const objects = await this.sql(node, catalogSql);
    const tables = await this.sql(
      node,
      "select relname from pg_class where relnamespace = to_regnamespace('pgrep') and relkind = 'r' order by 1",
    );
    const lines = objects.map((row) => String(row['line']));
    for (const { relname } of tables) {
      const rows = await this.sql(
        node,
        `select to_jsonb(t) - '{applied_at,updated_at}'::text[] as row from pgrep.${String(relname)} t order by 1`,
      );
      lines.push(...rows.map(({ row }) => `${String(relname)} ${JSON.stringify(row)}`));
    }
    return lines;
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

const catalogSql = `select line from (
  select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') as line from pg_namespace where nspname !~ '^pg_(temp|toast)'
  union all select 'relation ' || c.oid::regclass || ' ' || relkind::text || ' ' || coalesce(relacl::text, '') || ' ' || relrowsecurity || ' ' || coalesce(reloptions::text, '')
    from pg_class c where relnamespace <> all (array['pg_catalog'::regnamespace, 'information_schema'::regnamespace]) and relpersistence = 'p'
  union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || atttypid::regtype || attnotnull || attgenerated::text || attidentity::text
    from pg_attribute a join pg_class c on c.oid = attrelid where attnum > 0 and relkind in ('r', 'p')
      and relnamespace <> all (array['pg_catalog'::regnamespace, 'information_schema'::regnamespace]) and relpersistence = 'p'
  union all select 'trigger ' || tgrelid::regclass || ' ' || pg_get_triggerdef(oid) || tgenabled::text from pg_trigger where not tgisinternal
  union all select 'function ' || oid::regprocedure || ' ' || md5(prosrc) || coalesce(proacl::text, '') from pg_proc
    where pronamespace <> all (array['pg_catalog'::regnamespace, 'information_schema'::regnamespace])
  union all select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
    where connamespace <> all (array['pg_catalog'::regnamespace, 'information_schema'::regnamespace])
) l order by line`;

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

/** A pair whose `public.t` is replicated, with proxies between the daemon and its servers. */
export interface Proxied extends AsyncDisposable {
  readonly pair: Pair;
  readonly source: FaultProxy;
  readonly target: FaultProxy;
}

/** Makes one; both databases are on `server`. */
export async function proxied(server: PostgresServer, name: string): Promise<Proxied> {
  const pair = await Pair.create(name, { local: server, remote: server });
  const source = await FaultProxy.open(server.port);
  const target = await FaultProxy.open(server.port);
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.json('add-table', 'public.t', '--to', 'remote');
  pair.configure({ url: { local: source.url(pair.url.local), remote: target.url(pair.url.remote) } });
  return {
    pair,
    source,
    target,
    async [Symbol.asyncDispose]() {
      for (const each of [source, target, pair]) await each[Symbol.asyncDispose]();
    },
  };
}
