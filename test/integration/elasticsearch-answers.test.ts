import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Route } from '../../src/core/route.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import {
  answer,
  bulkActions,
  bulkAnswer,
  StubElasticsearch,
  type StubAnswer,
  type StubRequest,
} from '../support/stub-elasticsearch.ts';
import { ElasticsearchLink } from './elasticsearch-link.ts';

// What a real cluster cannot be made to say on demand.
let postgres: PostgresServer;
let stub: StubElasticsearch;
let link: ElasticsearchLink;
let route: Route;

/** Answers to bulk requests; everything else is answered as a cluster without the index, then with it, does. */
let onBulk: (request: StubRequest, ids: readonly string[]) => StubAnswer;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.createDatabase('source');
});

beforeEach(async () => {
  stub = await StubElasticsearch.open((request) => {
    if (request.url.includes('/_bulk'))
      return onBulk(
        request,
        bulkActions(request.body).map((action) => action.id),
      );
    return request.method === 'GET' ? answer(404, {}) : answer(200, { acknowledged: true });
  });
  link = await ElasticsearchLink.open(postgres.url('source'), {
    url: stub.url,
    apiKey: 'a2V5',
    requestTimeoutMs: 20_000,
  });
  await link.state.script(`drop table if exists stubbed; create table stubbed (id int primary key, t text);
    insert into stubbed select g, 'x' from generate_series(1, 16) g`);
  route = await link.route('stubbed');
  await link.target.prepare([route], link.signal);
});

afterEach(async () => {
  await link[Symbol.asyncDispose]();
  await stub[Symbol.asyncDispose]();
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
});

async function epoch(): Promise<string> {
  return (await link.target.position(link.signal)).epoch;
}

/** Applies a batch that must fail, and proves that the position was kept and nothing held. */
async function fails(code: string): Promise<void> {
  const before = await epoch();
  await expect(link.sync([link.changed(route)])).rejects.toMatchObject({ name: 'PgrepError', code });
  expect([await epoch(), link.held]).toEqual([before, []]);
}

describe('a cluster in trouble', () => {
  test('every request carries the API key, and a bulk asks for the alias and for a short answer', async () => {
    onBulk = (request) => bulkAnswer(request);
    await link.sync([link.changed(route)]);
    expect(new Set(stub.requests.map((request) => request.headers.authorization))).toEqual(new Set(['ApiKey a2V5']));
    const url = stub.bulks[0]?.url ?? '';
    expect(url).toMatch(/^\/stubbed\.pgrep\/_bulk\?/);
    expect(url).toContain('require_alias=true');
    expect(url).toContain('filter_path=errors');
    expect(stub.bulks[0]?.headers['content-type']).toContain('x-ndjson');
  });

  test.each([500, 502, 503, 504])('G2: status %i keeps the position and makes no error records', async (status) => {
    onBulk = () => answer(status, { error: { type: 'x', reason: 'down' } });
    await fails('unreachable');
  });

  test('G2: an item with status 503 keeps the position and makes no error records', async () => {
    onBulk = (request) => bulkAnswer(request, (id) => (id === '7' ? 503 : 200));
    await fails('unreachable');
  });

  test('G2: half an answer, a reset and an answer that is no JSON count as not acknowledged', async () => {
    onBulk = (request) => ({
      kind: 'half',
      status: 200,
      body: { errors: false, items: bulkActions(request.body).map(() => ({ index: { status: 201 } })) },
    });
    await fails('unreachable');
    onBulk = () => ({ kind: 'reset' });
    await fails('unreachable');
    onBulk = () => answer(200, '{"errors":false,"items":[{"index":{"status":201}}');
    await fails('unreachable');
    onBulk = () => answer(200, { errors: true, items: [{ index: { status: 201 } }] });
    await fails('unreachable');
  });

  test('G2: a server that is not there keeps the position; when it is back, the batch passes', async () => {
    const { url } = stub;
    await stub[Symbol.asyncDispose]();
    await fails('unreachable');
    expect(url).toBe(stub.url);
  });

  test('401 and 403 stop the link and say what to check', async () => {
    onBulk = () => answer(403, { error: { type: 'security_exception', reason: 'action is unauthorized' } });
    await fails('privilege');
    onBulk = (request) => bulkAnswer(request, () => 403);
    await fails('privilege');
  });

  test('429 of the whole request: the bulk is halved and sent again until all is in', async () => {
    const sizes: number[] = [];
    onBulk = (request, ids) => {
      sizes.push(ids.length);
      return ids.length > 4
        ? answer(429, { error: { type: 'es_rejected_execution_exception', reason: 'full' } })
        : bulkAnswer(request);
    };
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 16, held: 0 });
    expect(sizes[1]).toBeLessThan(16);
    expect(sizes.filter((size) => size <= 4).reduce((sum, size) => sum + size, 0)).toBe(16);
  });

  test('429 of items: only those are sent again', async () => {
    const seen: (readonly string[])[] = [];
    onBulk = (request, ids) => {
      seen.push(ids);
      return bulkAnswer(request, (id) => (seen.length === 1 && Number(id) > 12 ? 429 : 201));
    };
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 16, held: 0 });
    expect(seen.slice(1).flat().sort()).toEqual(['13', '14', '15', '16']);
  });

  test('Retry-After is waited for', async () => {
    let last = 0;
    let waited = 0;
    onBulk = (request) => {
      if (last === 0) {
        last = performance.now();
        return answer(429, {}, { 'retry-after': '1' });
      }
      waited ||= performance.now() - last;
      return bulkAnswer(request);
    };
    await link.sync([link.changed(route)]);
    expect(waited).toBeGreaterThanOrEqual(990);
  });

  test('G7: 400 of the whole request is followed down to the document that spoils it', async () => {
    onBulk = (request, ids) =>
      ids.includes('11')
        ? answer(400, { error: { type: 'illegal_argument_exception', reason: 'bad' } })
        : bulkAnswer(request);
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 16, held: 1 });
    expect(link.held).toMatchObject([{ key: ['11'], reason: 'illegal_argument_exception', message: 'bad' }]);
  });

  test('G7: 413 is split; a single document that is too large is held', async () => {
    onBulk = (request, ids) => (ids.length > 3 || ids.includes('5') ? answer(413, '') : bulkAnswer(request));
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 16, held: 1 });
    expect(link.held).toMatchObject([{ key: ['5'], reason: 'http_413' }]);
  });

  test('an aborted signal ends the batch at once with its reason', async () => {
    const stop = new AbortController();
    onBulk = () => {
      stop.abort(new Error('asked to stop'));
      return answer(429, {}, { 'retry-after': '30' });
    };
    const before = await epoch();
    const applied = link.batch([link.changed(route)], (batch) => link.target.apply(batch, stop.signal));
    await expect(applied).rejects.toThrow('asked to stop');
    expect(await epoch()).toBe(before);
  });

  test('another product at the URL is a configuration error', async () => {
    onBulk = () => answer(200, '<html>', { 'x-elastic-product': 'Something' });
    await fails('config');
  });
});
