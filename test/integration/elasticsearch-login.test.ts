import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Route } from '../../src/core/route.ts';
import type { ElasticsearchAddress } from '../../src/targets/elasticsearch/cluster.ts';
import { startElasticsearch, type ElasticsearchServer } from '../support/elasticsearch.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { ElasticsearchLink } from './elasticsearch-link.ts';

let postgres: PostgresServer;
let elasticsearch: ElasticsearchServer;

beforeAll(async () => {
  elasticsearch = await startElasticsearch({ tls: true });
  postgres = await startPostgres();
  await postgres.createDatabase('source');
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await elasticsearch[Symbol.asyncDispose]();
});

/** A link with this login, its route not yet prepared. */
async function open(login: Omit<ElasticsearchAddress, 'url'>): Promise<{ link: ElasticsearchLink; route: Route }> {
  const link = await ElasticsearchLink.open(postgres.url('source'), { url: elasticsearch.url, ...login });
  await link.state.script(
    'create table if not exists secured (id int primary key); insert into secured values (1) on conflict do nothing',
  );
  return { link, route: await link.route('secured') };
}

function good(): { username: string; password: string; caFile: string } {
  const { username = '', password = '', caFile = '' } = elasticsearch;
  return { username, password, caFile };
}

test('TLS with a certificate authority of its own, user and password: rows arrive', async () => {
  const { link, route } = await open(good());
  await link.target.prepare([route], link.signal);
  expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 1, held: 0 });
  await link[Symbol.asyncDispose]();
});

// That requests carry the key, and that it then works, is shown by a stub: a server without Elastic's modules cannot make keys.
test('a wrong password, an API key of nobody and a user who may only read are privilege errors that name neither secret nor URL', async () => {
  const secret = 'wrong-and-secret';
  const { caFile } = good();
  for (const login of [
    { ...good(), password: secret },
    { ...good(), username: 'reader' },
    { caFile, apiKey: Buffer.from(`nobody:${secret}`).toString('base64') },
  ]) {
    const { link, route } = await open(login);
    const error: unknown = await link.target
      .prepare([route], link.signal)
      .then(() => link.sync([link.changed(route)]))
      .then(
        () => null,
        (failure: unknown) => failure,
      );
    expect(error).toMatchObject({ name: 'PgrepError', code: 'privilege' });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(
      'apiKey' in login ? login.apiKey : login.password,
    );
    expect(link.held).toEqual([]);
    await link[Symbol.asyncDispose]();
  }
});

test('a certificate that nobody vouches for is refused with a hint to caFile', async () => {
  const { username, password } = good();
  const { link, route } = await open({ username, password });
  await expect(link.target.prepare([route], link.signal)).rejects.toMatchObject({
    code: 'unreachable',
    hint: expect.stringContaining('nodes.es.caFile') as string,
  });
  await link[Symbol.asyncDispose]();
});

test('a CA file that is not there is a configuration error', async () => {
  await expect(open({ caFile: '/no/such/ca.pem' })).rejects.toMatchObject({ code: 'config' });
});

test('G2: a cluster that is killed and comes back loses nothing', async () => {
  const { link, route } = await open(good());
  await link.target.prepare([route], link.signal);
  const { epoch } = await link.target.position(link.signal);
  await elasticsearch.kill();
  await link.state.script('insert into secured select generate_series(2, 100)');
  await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ code: 'unreachable' });
  expect((await link.target.position(link.signal)).epoch).toBe(epoch);
  await elasticsearch.start();
  expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 100, held: 0 });
  await link[Symbol.asyncDispose]();
}, 180_000);
