import { execFile, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { ordinaryUser } from '../../scripts/cache.mjs';
import { removeFolder, serverFolder } from './folders.ts';
import { freePort, isFree } from './ports.ts';
import { postgresBinaries, type PostgresVersion } from './postgres-binaries.ts';
import { ServerProcess } from './server-process.ts';
import { waitFor } from './wait.ts';

/** How a server is to be made. */
export interface PostgresOptions {
  /** Major version; 18 unless given. Others are fetched into the cache the first time. */
  readonly version?: PostgresVersion;
  /** Lines of postgresql.conf, over those of `defaults`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** True: commits are on disk (for benchmarks). Unless given false: tests need no crash safety of the machine. */
  readonly fsync?: boolean;
  /** Part of the folder's name. */
  readonly name?: string;
  /** True: the server goes on when this process ends. */
  readonly outlive?: boolean;
}

/** A running (or stopped) server of its own folder; superuser `postgres`, no password, 127.0.0.1 only. */
export interface PostgresServer extends AsyncDisposable {
  readonly version: PostgresVersion;
  readonly port: number;
  readonly folder: string;
  readonly logPath: string;
  /** The postmaster's, undefined while stopped. */
  readonly pid: number | undefined;
  /** A URL of a database (default `postgres`), as user (default `postgres`). */
  url(database?: string, user?: string): string;
  /** Makes a database, on demand as a copy of a template, and returns its URL. */
  createDatabase(name: string, template?: string): Promise<string>;
  /** Starts again after `stop` or `kill`: same port, same data. Returns when connections are accepted. */
  start(): Promise<void>;
  stop(mode?: 'smart' | 'fast' | 'immediate'): Promise<void>;
  /** SIGKILL of the postmaster and all its children at once, like a power cut. */
  kill(): Promise<void>;
}

const defaults = {
  listen_addresses: '127.0.0.1',
  max_connections: 100,
  shared_buffers: '128MB',
  max_prepared_transactions: 20,
  log_line_prefix: '%m [%p] %a %d ',
  // In the data folder, so that a killed server leaves nothing behind in /dev/shm.
  dynamic_shared_memory_type: 'mmap',
} as const;

/** Starts a fresh server: initdb takes 0.6 s here, so there is no template to keep and each has its own system identifier. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const version = options.version ?? 18;
  const binaries = postgresBinaries(version);
  const folder = serverFolder(options.name ?? `pg${version}`);
  const data = join(folder, 'data');
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'C';
  await promisify(execFile)(
    join(binaries, 'bin', 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', `--locale=${locale}`, '--no-sync', '--no-instructions'],
    { cwd: folder, env: { PATH: process.env['PATH'], LANG: 'C' }, ...ordinaryUser() },
  );
  const server = new EmbeddedPostgres(version, folder, options);
  await server.start();
  return server;
}

class EmbeddedPostgres implements PostgresServer {
  readonly version: PostgresVersion;
  readonly folder: string;
  readonly logPath: string;
  port = 0;
  private readonly options: PostgresOptions;
  private process: ServerProcess | undefined;

  constructor(version: PostgresVersion, folder: string, options: PostgresOptions) {
    this.version = version;
    this.folder = folder;
    this.options = options;
    this.logPath = join(folder, 'log');
    const durable = options.fsync ?? false;
    const settings = { ...defaults, unix_socket_directories: folder, fsync: durable, full_page_writes: durable };
    this.configure({ ...settings, ...options.settings });
  }

  get pid(): number | undefined {
    return this.process?.running ? this.process.pid : undefined;
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${encodeURIComponent(user)}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  async createDatabase(name: string, template?: string): Promise<string> {
    const client = new pg.Client({ connectionString: this.url() });
    await client.connect();
    try {
      const from = template === undefined ? '' : ` template ${client.escapeIdentifier(template)}`;
      await client.query(`create database ${client.escapeIdentifier(name)}${from}`);
    } finally {
      await client.end();
    }
    return this.url(name);
  }

  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    if (this.port === 0) {
      this.port = await freePort();
      this.configure({ port: this.port });
    }
    this.process = ServerProcess.launch({
      command: join(postgresBinaries(this.version), 'bin', 'postgres'),
      args: ['-D', join(this.folder, 'data')],
      cwd: this.folder,
      logPath: this.logPath,
      orphan: { signal: 'QUIT', group: false },
      outlive: this.options.outlive ?? false,
    });
    await this.ready(this.process);
  }

  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.process?.signal({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' }[mode] as NodeJS.Signals);
    await this.process?.exited(60_000);
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.pid === undefined) removeSharedMemory(join(this.folder, 'data', 'postmaster.pid'));
    await this.stop('immediate');
    removeFolder(this.folder);
  }

  /** The postmaster writes its state in line 8 of its pid file; that is what pg_ctl waits for too. */
  private async ready(process: ServerProcess): Promise<void> {
    await waitFor(() => !process.running || this.state(process.pid) === 'ready', {
      what: `Postgres to accept connections (log: ${this.logPath})`,
      deadlineMs: 120_000,
      everyMs: 10,
    });
    if (process.running) return;
    throw new Error(
      `Postgres ended while starting on port ${this.port}, which is ${(await isFree(this.port)) ? 'free' : 'taken'}; its log:\n` +
        readFileSync(this.logPath, 'utf8').slice(-2_000),
    );
  }

  private state(pid: number): string | undefined {
    const lines = readFileSync(join(this.folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
    return lines[0] === String(pid) ? lines[7]?.trim() : undefined;
  }

  private configure(settings: Readonly<Record<string, string | number | boolean>>): void {
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`,
    );
    appendFileSync(join(this.folder, 'data', 'postgresql.conf'), lines.join(''));
  }
}

/** A killed server that is never started again leaves a small System V segment, named in line 7 of its pid file. */
function removeSharedMemory(pidFile: string): void {
  if (!existsSync(pidFile)) return;
  const id = readFileSync(pidFile, 'utf8').split('\n')[6]?.trim().split(/ +/)[1];
  if (id !== undefined) spawnSync('ipcrm', ['-m', id], { stdio: 'ignore' });
}

/** Starts several servers at once, by name: each has its own system identifier. */
export async function startCluster<Name extends string>(options: {
  readonly nodes: readonly Name[];
  readonly settings?: PostgresOptions['settings'];
}): Promise<PostgresCluster<Name>> {
  const { nodes, settings } = options;
  const servers = await Promise.all(
    nodes.map(
      async (name) => [name, await startPostgres(settings === undefined ? { name } : { name, settings })] as const,
    ),
  );
  return new PostgresCluster(Object.fromEntries(servers) as Record<Name, PostgresServer>);
}

/** Servers that end together. */
export class PostgresCluster<Name extends string> implements AsyncDisposable {
  readonly nodes: Readonly<Record<Name, PostgresServer>>;

  constructor(nodes: Readonly<Record<Name, PostgresServer>>) {
    this.nodes = nodes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Object.values<PostgresServer>(this.nodes).map((server) => server[Symbol.asyncDispose]()));
  }
}
