import pg from 'pg';
import {
  initialiseData,
  PostgresProcess,
  type PostgresServerOptions,
} from '../../src/torture/servers/postgres-server.ts';
import { removeFolder, serverFolder } from './folders.ts';
import { postgresBinaries, type PostgresVersion } from './postgres-binaries.ts';

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

/** Starts a fresh server. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const version = options.version ?? 18;
  const binaries = postgresBinaries(version);
  const folder = serverFolder(options.name ?? `pg${version}`);
  await initialiseData(binaries, folder);
  const server = new TestPostgres(version, {
    binaries,
    folder,
    fsync: options.fsync ?? false,
    outlive: options.outlive ?? false,
    settings: options.settings ?? {},
  });
  await server.start();
  return server;
}

class TestPostgres extends PostgresProcess implements PostgresServer {
  readonly version: PostgresVersion;

  constructor(version: PostgresVersion, options: PostgresServerOptions) {
    super(options);
    this.version = version;
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    removeFolder(this.folder);
  }
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
