import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../src/core/route.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { ElasticsearchLink } from './elasticsearch-link.ts';

let postgres: PostgresServer;
let link: ElasticsearchLink;

beforeAll(async () => {
  const elasticsearch = await sharedElasticsearch();
  postgres = await startPostgres();
  link = await ElasticsearchLink.open(await postgres.createDatabase('source'), { url: elasticsearch.url });
});

afterAll(async () => {
  await link[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

describe('the index', () => {
  test('one that is deleted under the link stops it, and is not made anew by mistake', async () => {
    const route = await link.given(
      'es_lost',
      'create table es_lost (id int primary key); insert into es_lost values (1)',
    );
    await link.sync([link.changed(route)]);
    const { epoch } = await link.target.position(link.signal);
    await link.http('DELETE', '/es_lost');
    await expect(link.sync([link.changed(route)])).rejects.toMatchObject({
      code: 'target',
      hint: expect.stringContaining('pgrep add-table') as string,
    });
    expect((await link.target.position(link.signal)).epoch).toBe(epoch);
    expect(await link.http('GET', '/es_lost')).toMatchObject({ status: 404 });
  });

  test('one that is closed or read-only stops the link without error records', async () => {
    const route = await link.given(
      'es_closed',
      'create table es_closed (id int primary key); insert into es_closed values (1)',
    );
    await link.http('PUT', '/es_closed/_settings', { 'index.blocks.write': true });
    await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ code: 'target' });
    await link.http('PUT', '/es_closed/_settings', { 'index.blocks.write': null });
    await link.http('POST', '/es_closed/_close');
    await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ code: 'target' });
    await link.http('POST', '/es_closed/_open');
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 1, held: 0 });
    expect(link.held).toEqual([]);
  });

  test('a strict one of someone else that lacks fields is refused with what to type', async () => {
    await link.http('DELETE', '/es_strict');
    await link.http('PUT', '/es_strict', { mappings: { dynamic: 'strict', properties: { id: { type: 'integer' } } } });
    await link.state.script(
      'drop table if exists es_strict; create table es_strict (id int primary key, t text, n int)',
    );
    const route = await link.route('es_strict');
    await expect(link.target.prepare([route], link.signal)).rejects.toMatchObject({
      code: 'target',
      message: expect.stringContaining('the fields t, n') as string,
      hint: expect.stringContaining('PUT /es_strict/_mapping {"properties":{"t":{"type":"text"') as string,
    });
  });

  test('one that pgrep made gets the fields of new columns', async () => {
    await link.given('es_grow', 'create table es_grow (id int primary key)');
    await link.state.script('alter table es_grow add column t text; insert into es_grow values (1, $$x$$)');
    const route = await link.route('es_grow');
    await link.target.prepare([route], link.signal);
    expect(await link.sync([link.changed(route)])).toMatchObject({ held: 0 });
    expect(await link.count('es_grow', { term: { 't.keyword': 'x' } })).toBe(1);
  });

  test('one that was there is adopted: an alias is added and deletes are remembered for ten minutes', async () => {
    await link.http('DELETE', '/es_theirs');
    await link.http('PUT', '/es_theirs');
    const route = await link.given(
      'es_theirs_too',
      'create table es_theirs_too (id int primary key); insert into es_theirs_too values (1)',
      {
        targetTable: { schema: '', name: 'es_theirs' },
      },
    );
    expect(await link.sync([link.changed(route)])).toMatchObject({ held: 0 });
    expect(await link.http('GET', '/es_theirs')).toMatchObject({
      es_theirs: { aliases: { 'es_theirs.pgrep': {} }, settings: { index: { gc_deletes: '10m' } } },
    });
  });

  test('a route may name an alias of one index, not of two', async () => {
    for (const name of ['es_v1', 'es_v2']) {
      await link.http('DELETE', `/${name}`);
      await link.http('PUT', `/${name}`);
    }
    await link.http('PUT', '/es_v1/_alias/es_current');
    const route = await link.given(
      'es_aliased',
      'create table es_aliased (id int primary key); insert into es_aliased values (1)',
      {
        targetTable: { schema: '', name: 'es_current' },
      },
    );
    await link.sync([link.changed(route)]);
    expect(await link.ids('es_v1')).toEqual(['1']);
    await link.http('PUT', '/es_v2/_alias/es_current');
    await expect(link.target.prepare([route], link.signal)).rejects.toMatchObject({ code: 'target' });
  });

  test('one that is copied into is refreshed seldom from the second chunk on, and as before when the copy ends', async () => {
    const route = await link.given('es_copied', 'create table es_copied (id int primary key); insert into es_copied values (1), (2), (3)', { state: 'copying' }); // prettier-ignore
    await beginCopy('es_copied');
    await copyChunk(route, { seenRows: 0, copiedRows: 1, copied: false });
    expect(await refreshInterval('es_copied')).toBeUndefined();
    await copyChunk(route, { seenRows: 1, copiedRows: 2, copied: false });
    expect(await refreshInterval('es_copied')).toBe('599s');
    await copyChunk(route, { seenRows: 2, copiedRows: 3, copied: true });
    expect(await refreshInterval('es_copied')).toBeUndefined();
  });

  test('one whose copy was killed is refreshed as before once its route is live', async () => {
    const route = await link.given('es_killed', 'create table es_killed (id int primary key)', { state: 'copying' });
    await link.http('PUT', '/es_killed/_settings', { index: { refresh_interval: '599s' } });
    await link.target.prepare([route], link.signal);
    expect(await refreshInterval('es_killed')).toBe('599s');
    await link.target.prepare([{ ...route, state: 'live' }], link.signal);
    expect(await refreshInterval('es_killed')).toBeUndefined();
  });

  test('one whose owner said how often it is refreshed is left so', async () => {
    const route = await link.given('es_owned', 'create table es_owned (id int primary key); insert into es_owned values (1)', { state: 'copying' }); // prettier-ignore
    await link.http('PUT', '/es_owned/_settings', { index: { refresh_interval: '30s' } });
    await link.target.prepare([route], link.signal);
    await beginCopy('es_owned');
    await copyChunk(route, { seenRows: 0, copiedRows: 1, copied: false });
    await copyChunk(route, { seenRows: 1, copiedRows: 2, copied: false });
    await copyChunk(route, { seenRows: 2, copiedRows: 2, copied: true });
    expect(await refreshInterval('es_owned')).toBe('30s');
  });

  test('a name that Elasticsearch does not take is refused with what to type', async () => {
    await link.state.script('drop table if exists "Es Upper"; create table "Es Upper" (id int primary key)');
    const route = await link.route('Es Upper');
    await expect(link.target.prepare([route], link.signal)).rejects.toMatchObject({
      code: 'target',
      hint: expect.stringContaining('--index') as string,
    });
  });
});

async function refreshInterval(index: string): Promise<unknown> {
  const answer = await link.http('GET', `/${index}/_settings?flat_settings=true`);
  return (answer[index] as { settings: Record<string, unknown> }).settings['index.refresh_interval'];
}

/** The table's own position, from nothing copied on. */
async function beginCopy(table: string): Promise<void> {
  await link.target.position(link.signal);
  await link.state.script(`delete from pgrep.table_position; delete from pgrep.route; delete from pgrep.captured_table;
    insert into pgrep.captured_table (table_id, nsp_name, table_name, key_columns) overriding system value values (1, 'public', '${table}', '{id}');
    insert into pgrep.route (route_id, table_id, target, target_kind, target_nsp, target_table, columns, state) overriding system value
      values (1, 1, 'es', 'elasticsearch', '', '${table}', '[]', 'copying');
    insert into pgrep.table_position (source, target, route_id, snapshot, copied) values ('local', 'es', 1, '10:10:', false)`);
}

async function copyChunk(
  route: Route,
  { seenRows, copiedRows, copied }: { seenRows: number; copiedRows: number; copied: boolean },
): Promise<void> {
  const table = { snapshot: '10:10:', lastKey: [String(copiedRows)], copiedRows, copied };
  const mark = { kind: 'copy', routeId: route.id, table, seenRows } as const;
  expect(await link.sync([link.changed(route)], mark)).toMatchObject({ committed: true });
}
