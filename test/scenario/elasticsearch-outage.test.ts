import { afterAll, beforeAll, expect, test } from 'vitest';
import { startElasticsearch, type ElasticsearchServer } from '../support/elasticsearch.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Load } from './load.ts';
import { digest, Pair, type Records } from './pair.ts';

/** How long each target is away; minutes are tried by hand: PGREP_OUTAGE_SECONDS=240. */
const outageMs = Number(process.env['PGREP_OUTAGE_SECONDS'] ?? 6) * 1_000;

let local: PostgresServer;
let remote: PostgresServer;
let elasticsearch: ElasticsearchServer;
beforeAll(async () => {
  [local, remote, elasticsearch] = await Promise.all([
    startPostgres({ name: 'outage' }),
    startPostgres({ name: 'outage-target' }),
    startElasticsearch(),
  ]);
});
afterAll(async () => {
  await Promise.all([local, remote, elasticsearch].map((server) => server[Symbol.asyncDispose]()));
});

async function withIndex(name: string): Promise<Pair> {
  const pair = await Pair.create(name, { local, remote });
  pair.configure({ nodes: { es: { elasticsearch: elasticsearch.url } } });
  return pair;
}

async function http(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return (await (await fetch(`${elasticsearch.url}${path}`, { method, ...init })).json()) as Record<string, unknown>;
}

/** What all documents of an index hold, in the order of their ids. */
async function documents(index: string): Promise<Records> {
  await http('POST', `/${index}/_refresh`);
  const found: Record<string, unknown>[] = [];
  for (let after: readonly unknown[] | undefined; ;) {
    const body = { size: 10_000, sort: ['id'], ...(after === undefined ? {} : { search_after: after }) };
    const answer = (await http('POST', `/${index}/_search`, body)) as {
      hits: { hits: { _source: Record<string, unknown>; sort: readonly unknown[] }[] };
    };
    const { hits } = answer.hits;
    found.push(...hits.map(({ _source }) => _source));
    after = hits.at(-1)?.sort;
    if (after === undefined) return found;
  }
}

const held = 'select count(*)::integer from pgrep.sync_err_rec';

test(
  `G2, G7: targets that are down in turn for ${outageMs / 1000} s under load lose nothing, make no records and do not hold up each other`,
  async () => {
    await using pair = await withIndex('down');
    await pair.both('create table public.t (id integer primary key, n integer not null)');
    await pair.json('add-table', 'public.t', '--to', 'remote,es', '--index', 'down');
    await using daemon = await pair.daemon();
    await using load = new Load(pair.url.local);
    const away = async (target: string, arrived: () => Promise<number>): Promise<void> => {
      const begun = Date.now();
      await waitFor(async () => (await pair.link(target))['state'] === 'retrying', { what: `${target} to be missed` });
      const [before, written] = [await arrived(), load.committed];
      await waitFor(async () => Date.now() - begun > outageMs && load.committed > written + 50 && (await arrived()) > before, {
      what: 'the other target to go on while this one is away',
      deadlineMs: outageMs + 60_000,
    }); // prettier-ignore
      expect((await pair.link(target))['lastError']).toMatch(new RegExp(`${target} cannot be reached`));
      expect(await pair.value('local', held)).toBe(0);
    };
    await elasticsearch.stop();
    await away('es', async () => Number(await pair.value('remote', 'select count(*) from public.t')));
    expect(Number((await pair.link('es'))['lagSeconds'])).toBeGreaterThan(outageMs / 1000 - 3);
    await elasticsearch.start();
    await remote.stop('immediate');
    await away('remote', async () => (await documents('down')).length);
    await remote.start();
    await load.stop();
    await pair.arrive(120);
    await pair.expectEqual(digest);
    expect(await documents('down')).toEqual(await pair.sql('local', 'select id, n from public.t order by id'));
    expect(await pair.value('local', held)).toBe(0);
    expect(daemon.running).toBe(true);
  },
  outageMs * 4 + 300_000,
);

test('G7: rows that the index refuses are held alone; they arrive by a later good change, or by retry-errors as they are now', async () => {
  await using pair = await withIndex('poison');
  const integer = { type: 'integer' };
  await http('PUT', '/poison', { mappings: { dynamic: 'strict', properties: { id: integer, v: integer } } });
  await pair.sql('local', 'create table public.t (id integer primary key, v text)');
  await pair.json('add-table', 'public.t', '--to', 'es', '--index', 'poison');
  await using daemon = await pair.daemon();
  await pair.sql('local', "insert into public.t select i, case when i > 50 then 'no number' else i::text end from generate_series(1, 54) i"); // prettier-ignore
  await pair.arrive();
  expect((await documents('poison')).length).toBe(50);
  expect(await pair.link('es')).toMatchObject({ state: 'running', held: 4, lagKeys: 0 });
  const errors = async (): Promise<Records> => (await pair.json('errors', 'list', '--to', 'es')) as Records;
  expect((await errors()).map(({ key, reason }) => [key, reason]).sort()).toEqual(
    ['51', '52', '53', '54'].map((id) => [[id], 'document_parsing_exception']),
  );
  await pair.sql('local', "update public.t set v = '7' where id = 51; delete from public.t where id = 52");
  await waitFor(async () => (await errors()).length === 2, { what: 'records to be cleared by good changes' });
  daemon.kill('SIGTERM');
  await daemon.exit(5_000);
  await http('PUT', '/poison/_mapping', { properties: { v: { ...integer, ignore_malformed: true } } });
  await pair.sql('local', "update public.t set v = 'not this either' where id = 53");
  expect(await pair.json('retry-errors', '--to', 'es')).toMatchObject({ tried: 2, succeeded: 2, remainingTotal: 0 });
  expect(await documents('poison')).toEqual(await pair.sql('local', 'select id, v from public.t order by id'));
  expect((await documents('poison')).slice(-2).map(({ v }) => v)).toEqual(['not this either', 'no number']);
});

test('key changes, swaps, rows that leave the filter and TRUNCATE reach the index by the daemon', async () => {
  await using pair = await withIndex('changes');
  await pair.sql('local', 'create table public.t (id integer primary key deferrable, v text, secret text)');
  await pair.sql('local', "insert into public.t select i, 'row ' || i, 's' from generate_series(1, 30) i");
  await pair.json('add-table', 'public.t', '--to', 'es', '--index', 'changes', '--columns', 'id,v', '--where', "v <> 'gone'"); // prettier-ignore
  await using daemon = await pair.daemon();
  const equal = async (): Promise<void> => {
    await pair.arrive();
    expect(await documents('changes')).toEqual(await pair.sql('local', "select id, v from public.t where v <> 'gone' order by id")); // prettier-ignore
  };
  await pair.sql('local', 'update public.t set id = id + 1');
  await pair.sql('local', 'update public.t set id = case id when 3 then 4 else 3 end where id in (3, 4)');
  await pair.sql('local', "update public.t set v = 'gone' where id in (10, 11); update public.t set secret = 'x'; delete from public.t where id = 12"); // prettier-ignore
  await equal();
  await pair.sql('local', 'begin; truncate public.t; rollback');
  await pair.sql('local', "update public.t set v = 'back' where id = 10");
  await equal();
  await pair.sql('local', "begin; truncate public.t; insert into public.t values (7, 'after', 's'), (8, 'gone', 's'); commit"); // prettier-ignore
  await equal();
  expect(await documents('changes')).toEqual([{ id: 7, v: 'after' }]);
  expect(daemon.running).toBe(true);
});
