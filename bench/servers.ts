import { startElasticsearch, type ElasticsearchServer } from '../test/support/elasticsearch.ts';
import { startPostgres, type PostgresServer } from '../test/support/postgres.ts';
import { execute } from './sql.ts';

/**
 * One configuration for both servers and all contenders: commits are on disk, `wal_level = logical` is paid by everybody, and
 * no checkpoint of its own falls into a measurement (one is made before each).
 */
export const postgresSettings = {
  wal_level: 'logical',
  synchronous_commit: 'on',
  shared_buffers: '512MB',
  max_wal_size: '8GB',
  // Old WAL files are renamed for use again: making new ones cost the first statements half as much time again.
  min_wal_size: '2GB',
  checkpoint_timeout: '1h',
  // PostgreSQL's own default, other than that of the test servers: where transactions can be prepared, pgrep cannot notify.
  max_prepared_transactions: 0,
} as const;

/** Heap of the Elasticsearch server. */
export const elasticsearchHeap = '1g';

/** The servers of a run, all on this machine. */
export class Servers implements AsyncDisposable {
  readonly source: PostgresServer;
  readonly target: PostgresServer;
  #elasticsearch: ElasticsearchServer | undefined;

  private constructor(source: PostgresServer, target: PostgresServer) {
    this.source = source;
    this.target = target;
  }

  static async start(): Promise<Servers> {
    const options = { fsync: true, settings: postgresSettings };
    const source = await startPostgres({ ...options, name: 'bench-source' });
    const target = await startPostgres({ ...options, name: 'bench-target' });
    for (const server of [source, target]) await warmUp(server);
    return new Servers(source, target);
  }

  /** Started when first asked for: a JVM must not take CPU from the workloads before. */
  async elasticsearch(): Promise<ElasticsearchServer> {
    this.#elasticsearch ??= await startElasticsearch({ heap: elasticsearchHeap });
    return this.#elasticsearch;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#elasticsearch?.[Symbol.asyncDispose]();
    await this.target[Symbol.asyncDispose]();
    await this.source[Symbol.asyncDispose]();
  }
}

/** Writes half a gigabyte of WAL, so that the first trial finds the server as the later ones do. */
async function warmUp(server: PostgresServer): Promise<void> {
  const text = 'create table warm as select g, repeat($$x$$, 400) from generate_series(1, 1000000) as g';
  await execute(server.url(), text, 'drop table warm', 'checkpoint');
}
