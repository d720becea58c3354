import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Route } from '../../src/core/route.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { FaultProxy } from '../support/proxy.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { ElasticsearchLink } from './elasticsearch-link.ts';

let postgres: PostgresServer;
let proxy: FaultProxy;
let link: ElasticsearchLink;
let route: Route;

beforeAll(async () => {
  const elasticsearch = await sharedElasticsearch();
  postgres = await startPostgres();
  proxy = await FaultProxy.open(Number(new URL(elasticsearch.url).port));
  // Long enough to make an index on a busy machine.
  const address = { url: proxy.url(elasticsearch.url), requestTimeoutMs: 8000 };
  link = await ElasticsearchLink.open(await postgres.createDatabase('source'), address);
});

beforeEach(async () => {
  route = await link.given(
    'es_network',
    'create table es_network (id int primary key); insert into es_network values (1), (2)',
  );
});

afterAll(async () => {
  await link[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

async function epoch(): Promise<string> {
  return (await link.target.position(link.signal)).epoch;
}

test('G2: a cluster that swallows requests counts as down after the time limit; afterwards the batch passes', async () => {
  const before = await epoch();
  proxy.mode = 'blackhole';
  proxy.cut();
  await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ code: 'unreachable' });
  proxy.mode = 'pass';
  proxy.cut();
  expect([await epoch(), link.held]).toEqual([before, []]);
  expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 2, held: 0 });
});

test('G2: when the answer to a bulk is lost the position is kept, and the repeated batch makes the documents equal', async () => {
  const before = await epoch();
  const lost = proxy.dropReplyAfter('_bulk');
  await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ code: 'unreachable' });
  await lost;
  expect(await epoch()).toBe(before);
  expect(await link.ids('es_network')).toEqual(['1', '2']);
  await link.state.script('delete from es_network where id = 1');
  expect(await link.sync([link.changed(route, { keys: 'values (1), (2)' })])).toMatchObject({
    committed: true,
    held: 0,
  });
  expect(await link.ids('es_network')).toEqual(['2']);
});
