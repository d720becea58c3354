import { chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openApp, type App } from '../app/open.ts';
import { parseConfig } from '../config/config.ts';
import { openSession, type Row, type Session } from '../db/session.ts';
import { copyEmbeddedBinaries } from './servers/embedded-binaries.ts';
import { FaultProxy } from './servers/fault-proxy.ts';
import { ordinaryUser } from './servers/ordinary-user.ts';
import { initialiseData, PostgresProcess } from './servers/postgres-server.ts';

/** One database of a run, with the proxy through which replayers reach it. */
export interface TortureNode {
  readonly name: string;
  readonly server: PostgresProcess;
  readonly proxy: FaultProxy;
  /** `lost`: killed for good and forgotten. */
  state: 'member' | 'lost';
}

/** The name of torture's own sessions: to pgrep they are an application. */
const applicationName = 'pgrep-torture';

const settings = {
  // Deadlocks of writers are part of it; waiting a second for each would leave little else.
  deadlock_timeout: '100ms',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
} as const;

/** The servers of a run in a temporary folder, and the configurations that name them. */
export class Cluster implements AsyncDisposable {
  readonly folder = temporaryFolder();
  readonly nodes = new Map<string, TortureNode>();
  readonly #binaries: string;
  #keep = false;

  /** Throws `usage` when the servers are not installed. */
  constructor() {
    this.#binaries = join(this.folder, 'postgres');
    copyEmbeddedBinaries(this.#binaries);
  }

  /** Nodes that take part, by name. */
  get members(): readonly TortureNode[] {
    const members = [...this.nodes.values()].filter(({ state }) => state === 'member');
    return members.sort((one, other) => one.name.localeCompare(other.name));
  }

  /** A node that was started. */
  node(name: string): TortureNode | undefined {
    return this.nodes.get(name);
  }

  /** Starts a server of its own for a new node. */
  async add(name: string): Promise<TortureNode> {
    const folder = ownFolder(join(this.folder, name));
    await initialiseData(this.#binaries, folder);
    const server = new PostgresProcess({ binaries: this.#binaries, folder, settings });
    await server.start();
    const node: TortureNode = { name, server, proxy: await FaultProxy.open(server.port), state: 'member' };
    this.nodes.set(name, node);
    return node;
  }

  /** A session of the application's kind, past the proxy. */
  async session({ name, server }: TortureNode): Promise<Session> {
    return await openSession({ node: name, url: server.url() }, applicationName);
  }

  /** Runs one statement in a session of its own. */
  async query(node: TortureNode, text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    await using session = await this.session(node);
    return (await session.query(text, values)).rows;
  }

  /** The public API on all nodes but those that were lost, past the proxies. `besides`: lost nodes that it shall know. */
  app(besides: readonly TortureNode[] = []): App {
    return openApp({ config: parseConfig(this.#config([...this.members, ...besides], ({ server }) => server.url()), {}, 'torture') }); // prettier-ignore
  }

  /** Writes the replayers' configuration, which names the proxies, and gives its path. */
  writeConfig(): string {
    const path = join(this.folder, 'pgrep.json');
    const config = this.#config(this.members, ({ server, proxy }) => proxy.url(server.url()));
    // In one step: a replayer that was just started may be reading it.
    writeFileSync(`${path}.new`, config);
    renameSync(`${path}.new`, path);
    return path;
  }

  /** From now on the folder stays. */
  keep(): void {
    this.#keep = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server, proxy } of this.nodes.values()) {
      await proxy[Symbol.asyncDispose]();
      await server.end();
    }
    if (!this.#keep) rmSync(this.folder, { recursive: true, force: true });
  }

  #config(nodes: readonly TortureNode[], url: (node: TortureNode) => string): string {
    const named = nodes.map((node) => [node.name, { postgres: url(node) }] as const);
    return JSON.stringify({ home: nodes[0]?.name, nodes: Object.fromEntries(named) });
  }
}

function temporaryFolder(): string {
  return own(mkdtempSync(join(tmpdir(), 'pgrep-torture-')));
}

function ownFolder(path: string): string {
  mkdirSync(path);
  return own(path);
}

function own(path: string): string {
  const user = ordinaryUser();
  if (user) chownSync(path, user.uid, user.gid);
  return path;
}
