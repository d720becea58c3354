import type pg from 'pg';
import { initNodes, openApp, Secret, type App, type Config } from '../../src/index.ts';
import type { PostgresServer } from '../support/postgres.ts';
import { connect, never } from './replay-pair.ts';

let sets = 0;

/** Several initialised databases as nodes a, b, c, … with clients of their own, and the application over them. */
export class NodeSet implements AsyncDisposable {
  readonly app: App;
  readonly urls: Readonly<Record<string, string>>;
  readonly #clients: Readonly<Record<string, pg.Client>>;

  static async open(
    servers: PostgresServer | Readonly<Record<string, PostgresServer>>,
    names: readonly string[],
    sql = '',
  ): Promise<NodeSet> {
    const number = ++sets;
    const urls: Record<string, string> = {};
    const clients: Record<string, pg.Client> = {};
    for (const name of names) {
      const server = 'url' in servers && typeof servers.url === 'function' ? (servers as PostgresServer) : (servers as Readonly<Record<string, PostgresServer>>)[name]; // prettier-ignore
      if (server === undefined) throw new Error(`no server for ${name}`);
      const url = await server.createDatabase(`set_${number}_${name}`);
      urls[name] = url;
      const client = await connect(url);
      clients[name] = client;
      await client.query(sql);
    }
    const set = new NodeSet(urls, clients);
    await initNodes(set.app, { dryRun: false }, never);
    return set;
  }

  private constructor(urls: Readonly<Record<string, string>>, clients: Readonly<Record<string, pg.Client>>) {
    this.urls = urls;
    this.#clients = clients;
    this.app = openApp({ config: this.config() });
  }

  /** The configuration, with other URLs for the nodes that are named. */
  config(urls: Readonly<Record<string, string>> = {}): Config {
    const nodes = Object.entries({ ...this.urls, ...urls }).map(
      ([name, url]) => [name, { kind: 'postgres', postgres: new Secret(url), replicaRole: true }] as const,
    );
    return {
      home: nodes[0]?.[0] ?? '',
      nodes: Object.fromEntries(nodes),
      replayer: { maxBatchRows: 200_000, pollMs: 20, copyChunkRows: 1_000, maxClockSkewMs: 300_000, conflictRetentionDays: 30 }, // prettier-ignore
    };
  }

  client(node: string): pg.Client {
    const client = this.#clients[node];
    if (client === undefined) throw new Error(`no node ${node}`);
    return client;
  }

  /** Runs statements at every node. */
  async everywhere(sql: string): Promise<void> {
    for (const client of Object.values(this.#clients)) await client.query(sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
    for (const client of Object.values(this.#clients)) await client.end();
  }
}
