import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { FaultProxy } from '../support/proxy.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { bulkAnswer, StubElasticsearch } from '../support/stub-elasticsearch.ts';
import { isAlive } from '../support/server-process.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'support' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The one value of a one-row answer; a new connection each time. */
async function value(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('the Postgres launcher', () => {
  test('keeps committed rows through a kill of all its processes and comes back on its port', async () => {
    const url = await server.createDatabase('Kept "in" quotes');
    await value(url, 'create table public.t as select 7 as n');
    const { pid } = server;
    await server.kill();
    expect(server.pid).toBeUndefined();
    expect(isAlive(pid ?? 0)).toBe(false);
    await expect(value(url, 'select 1')).rejects.toThrow();
    await server.start();
    expect(await value(url, 'select n from public.t')).toBe(7);
  });

  test('gives each server a system identifier of its own', async () => {
    await using other = await startPostgres({ name: 'other' });
    const sql = 'select system_identifier from pg_control_system()';
    expect(await value(other.url(), sql)).not.toBe(await value(server.url(), sql));
  });

  test('copies a template database', async () => {
    const template = await server.createDatabase('template');
    await value(template, 'create table public.t as select 8 as n');
    expect(await value(await server.createDatabase('copy', 'template'), 'select n from public.t')).toBe(8);
  });
});

describe('the fault proxy', () => {
  test('passes bytes, refuses and lets through again', async () => {
    await using proxy = await FaultProxy.open(server.port);
    expect(await value(proxy.url(server.url()), 'select 1')).toBe(1);
    proxy.mode = 'refuse';
    await expect(value(proxy.url(server.url()), 'select 1')).rejects.toThrow();
    proxy.mode = 'pass';
    expect(await value(proxy.url(server.url()), 'select 1')).toBe(1);
  });

  test('loses the reply to COMMIT while the server has committed', async () => {
    await value(server.url(), 'create table public.lost (n integer)');
    await using proxy = await FaultProxy.open(server.port);
    const client = new pg.Client({ connectionString: proxy.url(server.url()) });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('begin');
    await client.query('insert into public.lost values (1)');
    const dropped = proxy.dropReplyAfter('COMMIT');
    await expect(client.query('COMMIT')).rejects.toThrow();
    await dropped;
    expect(await value(server.url(), 'select n from public.lost')).toBe(1);
  });

  test('cuts open connections, and a blackhole answers nothing', async () => {
    await using proxy = await FaultProxy.open(server.port);
    const sleeping = value(proxy.url(server.url()), 'select pg_sleep(60)');
    await expect.poll(() => proxy.connections).toBe(1);
    proxy.cut();
    await expect(sleeping).rejects.toThrow();
    proxy.mode = 'blackhole';
    const silent = new pg.Client({ connectionString: proxy.url(server.url()), connectionTimeoutMillis: 300 });
    await expect(silent.connect()).rejects.toThrow();
  });
});

describe('the Elasticsearch servers', () => {
  test('share one real server that answers bulk requests', async () => {
    const { url } = await sharedElasticsearch();
    expect((await sharedElasticsearch()).url).toBe(url);
    const response = await fetch(`${url}/support-test/_bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: '{"index":{"_id":"1"}}\n{"n":1}\n',
    });
    expect(await response.json()).toMatchObject({ errors: false });
  });

  test('stub answers as scripted: an item refused, half a body, a reset', async () => {
    await using stub = await StubElasticsearch.open((request) => bulkAnswer(request, (id) => (id === 'b' ? 429 : 200)));
    const post = (): Promise<Response> =>
      fetch(`${stub.url}/i/_bulk`, {
        method: 'POST',
        headers: { authorization: 'ApiKey abc', 'content-type': 'application/x-ndjson' },
        body: '{"index":{"_id":"a"}}\n{}\n{"delete":{"_id":"b"}}\n',
      });
    expect(await (await post()).json()).toMatchObject({
      errors: true,
      items: [{ index: { status: 200 } }, { delete: { _id: 'b', status: 429 } }],
    });
    expect(stub.bulks[0]?.headers.authorization).toBe('ApiKey abc');
    stub.script = () => ({ kind: 'half', status: 200, body: { items: [] } });
    await expect(post().then((response) => response.json())).rejects.toThrow();
    stub.script = () => ({ kind: 'reset' });
    await expect(post()).rejects.toThrow();
  });
});
