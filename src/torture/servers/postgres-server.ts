import { execFile, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PgrepError } from '../../core/error.ts';
import { freePort, isFree } from './free-port.ts';
import { ordinaryUser } from './ordinary-user.ts';
import { ServerProcess } from './server-process.ts';
import { waitFor } from './wait-for.ts';

/** Lines of postgresql.conf. */
export type PostgresSettings = Readonly<Record<string, string | number | boolean>>;

/** Where a server's programs are, where it lives and how it is set. */
export interface PostgresServerOptions {
  /** The folder with `bin`, `lib` and `share`. */
  readonly binaries: string;
  /** Belongs to the ordinary user; gets `data` and `log`. */
  readonly folder: string;
  /** Over the defaults. */
  readonly settings?: PostgresSettings;
  /** True: commits are on disk. Unless given false: no crash of the machine has to be survived. */
  readonly fsync?: boolean;
  /** True: the server goes on when this process ends. */
  readonly outlive?: boolean;
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

/** Makes the data folder of a new server. It takes 0.6 s here, so there is no template to keep and each has its own system identifier. */
export async function initialiseData(binaries: string, folder: string): Promise<void> {
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'C';
  await promisify(execFile)(
    join(binaries, 'bin', 'initdb'),
    ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', `--locale=${locale}`, '--no-sync', '--no-instructions'], // prettier-ignore
    { cwd: folder, env: { PATH: process.env['PATH'], LANG: 'C' }, ...ordinaryUser() },
  );
}

/** A server of a folder of its own, running or stopped; superuser `postgres`, no password, 127.0.0.1 only. */
export class PostgresProcess {
  readonly folder: string;
  readonly logPath: string;
  /** 0 before the first start, then always the same. */
  port = 0;
  readonly #options: PostgresServerOptions;
  #process: ServerProcess | undefined;

  /** On a folder that `initialiseData` has filled; does not start it. */
  constructor(options: PostgresServerOptions) {
    this.#options = options;
    this.folder = options.folder;
    this.logPath = join(options.folder, 'log');
    const durable = options.fsync ?? false;
    const own = { unix_socket_directories: options.folder, fsync: durable, full_page_writes: durable };
    this.#configure({ ...defaults, ...own, ...options.settings });
  }

  /** The postmaster's, undefined while stopped. */
  get pid(): number | undefined {
    return this.#process?.running ? this.#process.pid : undefined;
  }

  /** A URL of a database (default `postgres`), as user (default `postgres`). */
  url(database = 'postgres', user = 'postgres'): string {
    return `postgres://${encodeURIComponent(user)}@127.0.0.1:${this.port}/${encodeURIComponent(database)}`;
  }

  /** Starts, also again after `stop` or `kill`: same port, same data. Returns when connections are accepted. */
  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    if (this.port === 0) {
      this.port = await freePort();
      this.#configure({ port: this.port });
    }
    this.#process = ServerProcess.launch({
      command: join(this.#options.binaries, 'bin', 'postgres'),
      args: ['-D', join(this.folder, 'data')],
      cwd: this.folder,
      logPath: this.logPath,
      orphan: { signal: 'QUIT', group: false },
      outlive: this.#options.outlive ?? false,
    });
    await this.#ready(this.#process);
  }

  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.#process?.signal({ smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' }[mode] as NodeJS.Signals);
    await this.#process?.exited(60_000);
  }

  /** SIGKILL of the postmaster and all its children at once, like a power cut. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** Stops at once and leaves nothing behind but the folder. */
  async end(): Promise<void> {
    if (this.pid === undefined) removeSharedMemory(join(this.folder, 'data', 'postmaster.pid'));
    await this.stop('immediate');
  }

  /** The postmaster writes its state in line 8 of its pid file; that is what pg_ctl waits for too. */
  async #ready(process: ServerProcess): Promise<void> {
    await waitFor(() => !process.running || this.#state(process.pid) === 'ready', {
      what: `Postgres to accept connections (log: ${this.logPath})`,
      deadlineMs: 120_000,
      everyMs: 10,
    });
    if (process.running) return;
    const port = `port ${this.port}, which is ${(await isFree(this.port)) ? 'free' : 'taken'}`;
    throw new PgrepError(
      'unreachable',
      `Postgres ended while starting on ${port}; its log:\n${readFileSync(this.logPath, 'utf8').slice(-2_000)}`,
    );
  }

  #state(pid: number): string | undefined {
    const lines = readFileSync(join(this.folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
    return lines[0] === String(pid) ? lines[7]?.trim() : undefined;
  }

  #configure(settings: PostgresSettings): void {
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
