import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startElasticsearch, type ElasticsearchServer } from '../test/support/elasticsearch.ts';
import { removeFolder } from '../test/support/folders.ts';
import { startPostgres, type PostgresServer } from '../test/support/postgres.ts';

/** The demo's three nodes and the folder with its pgrep.json. */
export interface DemoServers extends AsyncDisposable {
  readonly folder: string;
  readonly configPath: string;
  readonly local: PostgresServer;
  readonly remote: PostgresServer;
  readonly es: ElasticsearchServer;
  /** URLs of the database `demo` on each Postgres. */
  readonly localUrl: string;
  readonly remoteUrl: string;
}

/** Starts two Postgres servers and an Elasticsearch in temporary folders; with `keep` they outlive this process. */
export async function startServers(keep: boolean): Promise<DemoServers> {
  const [local, remote, es] = await Promise.all([
    startPostgres({ name: 'demo-local', outlive: keep }),
    startPostgres({ name: 'demo-remote', outlive: keep }),
    startElasticsearch({ outlive: keep }),
  ]);
  const [localUrl, remoteUrl] = [await local.createDatabase('demo'), await remote.createDatabase('demo')];
  const folder = mkdtempSync(join(tmpdir(), 'pgrep-demo-'));
  chmodSync(folder, 0o755);
  const configPath = join(folder, 'pgrep.json');
  const nodes = { local: { postgres: localUrl }, remote: { postgres: remoteUrl }, es: { elasticsearch: es.url } };
  writeFileSync(configPath, `${JSON.stringify({ home: 'local', nodes }, null, 2)}\n`);
  return {
    folder,
    configPath,
    local,
    remote,
    es,
    localUrl,
    remoteUrl,
    async [Symbol.asyncDispose]() {
      await Promise.all([local, remote, es].map((server) => server[Symbol.asyncDispose]()));
      removeFolder(folder);
    },
  };
}
