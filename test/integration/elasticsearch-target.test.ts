import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

describe('documents', () => {
  test('rows become documents under their keys, and rows that are gone are deleted', async () => {
    const route = await link.given(
      'es_basic',
      "create table es_basic (id int primary key, t text); insert into es_basic values (1, 'a'), (2, 'b')",
    );
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 2, held: 0 });
    await link.state.script("delete from es_basic where id = 1; update es_basic set t = 'c' where id = 2");
    const applied = await link.sync([link.changed(route, { keys: 'values (1), (2), (99)' })]);
    expect(applied).toEqual({ committed: true, keys: 3, held: 0 });
    expect((await link.all('es_basic')).map((hit) => hit._source)).toEqual([{ id: 2, t: 'c' }]);
  });

  test('a changed key moves its document, also when rows exchange keys', async () => {
    const route = await link.given(
      'es_swap',
      "create table es_swap (id int primary key deferrable, t text); insert into es_swap values (1, 'a'), (2, 'b'), (3, 'c')",
    );
    await link.sync([link.changed(route)]);
    await link.state.script('update es_swap set id = case id when 1 then 2 when 2 then 1 else 30 end');
    await link.sync([link.changed(route, { keys: 'values (1), (2), (3), (30)' })]);
    expect((await link.all('es_swap')).map((hit) => [hit._id, hit._source['t']])).toEqual([
      ['1', 'b'],
      ['2', 'a'],
      ['30', 'c'],
    ]);
  });

  test('a row that leaves the filter disappears; columns are renamed and left out', async () => {
    const sql =
      "create table es_part (id int primary key, info text, secret text); insert into es_part values (1, 'a', 's'), (2, 'b', 's')";
    const route = await link.given('es_part', sql, {
      map: { info: 'no.te' },
      without: ['secret'],
      filter: "info <> 'gone'",
    });
    await link.sync([link.changed(route)]);
    await link.state.script("update es_part set info = 'gone' where id = 2");
    await link.sync([link.changed(route)]);
    expect((await link.all('es_part')).map((hit) => hit._source)).toEqual([{ id: 1, 'no.te': 'a' }]);
  });

  test('composite keys have ids that cannot be confused', async () => {
    const route = await link.given(
      'es_ids',
      String.raw`create table es_ids (a text, b text, t int, primary key (a, b));
        insert into es_ids values ('x|y', 'z', 1), ('x', 'y|z', 2), ('x\', 'z', 3), ('x', '\|z', 4), ('', '', 5), ('x\|y', 'z', 6), ('"', 'ü', 7)`,
    );
    await link.sync([link.changed(route)]);
    expect(await link.ids('es_ids')).toEqual(
      [
        String.raw`"|ü`,
        String.raw`x\\\|y|z`,
        String.raw`x\\|z`,
        String.raw`x\|y|z`,
        String.raw`x|\\\|z`,
        String.raw`x|y\|z`,
        '|',
      ].sort(),
    );
    await link.state.script('delete from es_ids where t <> 2');
    await link.sync([
      link.changed(route, {
        keys: String.raw`values ('x|y', 'z'), ('x\', 'z'), ('x', '\|z'), ('', ''), ('x\|y', 'z'), ('"', 'ü'), ('x', 'y|z')`,
      }),
    ]);
    expect((await link.all('es_ids')).map((hit) => hit._source['t'])).toEqual([2]);
  });

  test('an empty key, a key with backslashes and keys beyond 512 bytes have ids of their own', async () => {
    const route = await link.given(
      'es_long',
      String.raw`create table es_long (a text primary key); insert into es_long values (''), ('\e'), ('\'), ('\h'), (repeat('x', 512)), (repeat('x', 513)), (repeat('ü', 300))`,
    );
    expect(await link.sync([link.changed(route)])).toMatchObject({ keys: 7, held: 0 });
    const found = await link.all('es_long');
    expect(found).toHaveLength(7);
    const short = found.filter((hit) => hit._id.length < 20);
    expect(short.map((hit) => [hit._id, hit._source['a']])).toEqual([
      [String.raw`\\`, '\\'],
      [String.raw`\\e`, String.raw`\e`],
      [String.raw`\\h`, String.raw`\h`],
      [String.raw`\e`, ''],
    ]);
    expect(found.filter((hit) => /^\\h[0-9a-f]{64}$/.test(hit._id))).toHaveLength(2);
  });

  test('equal keys with different texts are one document', async () => {
    const route = await link.given(
      'es_equal',
      "create table es_equal (n numeric, d interval, f float8, primary key (n, d, f)); insert into es_equal values (1.0, '24 hours', '-0')",
    );
    await link.sync([link.changed(route)]);
    await link.state.script("update es_equal set n = 1.00, d = '1 day', f = 0");
    await link.sync([link.changed(route)]);
    expect((await link.all('es_equal')).map((hit) => hit._id)).toEqual(['1|1 day|0']);
    expect((await link.document('es_equal', '1|1 day|0'))?.text).toContain('{"n":1.00,"d":"1 day","f":0}');
  });

  test('where equal keys may differ in ways that no text shows, the id of the old text is deleted', async () => {
    const route = await link.given(
      'es_loose',
      `create table es_loose (a jsonb primary key, t int); insert into es_loose values ('{"x": 1.0}', 1)`,
    );
    await link.sync([link.changed(route)]);
    await link.state.script(`update es_loose set a = '{"x": 1.00}', t = 2`);
    await link.sync([link.changed(route, { keys: `values ('{"x": 1.0}'::jsonb), ('{"x": 1.00}')` })]);
    expect((await link.all('es_loose')).map((hit) => [hit._id, hit._source['t']])).toEqual([['{"x": 1.00}', 2]]);
  });

  test('rows of 6 MB, larger than a bulk, and 30,000 small ones arrive in one batch', async () => {
    const route = await link.given(
      'es_size',
      `create table es_size (id int primary key, t text);
       insert into es_size select g, case when g % 10000 = 0 then repeat(chr(65 + g / 10000), 6000000) else 'x' || g end from generate_series(1, 30000) g`,
    );
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 30_000, held: 0 });
    expect(await link.count('es_size', { match_all: {} })).toBe(30_000);
    expect((await link.document('es_size', '20000'))?.source['t']).toBe('C'.repeat(6_000_000));
    expect((await link.document('es_size', '29999'))?.source['t']).toBe('x29999');
  });

  test('several tables are one batch', async () => {
    const one = await link.given('es_one', 'create table es_one (id int primary key); insert into es_one values (1)');
    const two = {
      ...(await link.given(
        'es_two',
        'create table es_two (id uuid primary key); insert into es_two select gen_random_uuid()',
      )),
      id: '2',
    };
    await link.target.prepare([one, two], link.signal);
    expect(await link.sync([link.changed(one), link.changed(two)])).toMatchObject({ keys: 2 });
    expect([(await link.ids('es_one')).length, (await link.ids('es_two')).length]).toEqual([1, 1]);
  });
});

describe('builds and fence', () => {
  test('G2: a batch that died between its bulk and its mark is repeated without harm', async () => {
    const route = await link.given(
      'es_repeat',
      "create table es_repeat (id int primary key, t text); insert into es_repeat values (1, 'a'), (2, 'b')",
    );
    const before = await link.target.position(link.signal);
    // An epoch that never was: the bulk goes out, the mark does not, as if the process had ended in between.
    await link.batch([link.changed(route)], (batch) => link.target.apply({ ...batch, epoch: '-1' }, link.signal));
    expect((await link.target.position(link.signal)).epoch).toBe(before.epoch);
    expect(await link.ids('es_repeat')).toEqual(['1', '2']);
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 2, held: 0 });
    expect((await link.all('es_repeat')).map((hit) => hit._source['t'])).toEqual(['a', 'b']);
  });

  test('G2: the same build sent twice counts as done', async () => {
    const route = await link.given(
      'es_twice',
      'create table es_twice (id int primary key); insert into es_twice values (1)',
    );
    const answers = await link.batch([link.changed(route, { keys: 'values (1), (2)' })], async (batch) => [
      await link.target.apply(batch, link.signal),
      await link.target.apply(batch, link.signal),
    ]);
    expect(answers).toEqual([
      { committed: true, keys: 2, held: 0 },
      { committed: false, keys: 0, held: 0 },
    ]);
    expect(link.held).toEqual([]);
  });

  test('G2: an older build that arrives late changes nothing and does not bring back what was deleted', async () => {
    const route = await link.given(
      'es_late',
      "create table es_late (id int primary key, t text); insert into es_late values (1, 'old'), (2, 'old')",
    );
    await link.sync([link.changed(route)]);
    const late = await link.batch([link.changed(route, { keys: 'values (1), (2)' })], async (batch) => {
      await link.state.script("update es_late set t = 'new' where id = 1; delete from es_late where id = 2");
      const other = await ElasticsearchLink.open(postgres.url('source'), { url: link.url });
      try {
        await other.target.prepare([route], link.signal);
        await other.sync([other.changed(route, { keys: 'values (1), (2)' })]);
      } finally {
        await other[Symbol.asyncDispose]();
      }
      return link.target.apply(batch, link.signal);
    });
    expect(late).toEqual({ committed: false, keys: 0, held: 0 });
    expect((await link.all('es_late')).map((hit) => [hit._id, hit._source['t']])).toEqual([['1', 'new']]);
  });

  test('marks move position, table positions and origin together, and only with the epoch that was seen', async () => {
    const route = await link.given(
      'es_mark',
      'create table es_mark (id int primary key); insert into es_mark values (1)',
      {
        id: '77',
      },
    );
    const before = await link.target.position(link.signal);
    const table = { snapshot: '5:9:6,7', lastKey: ['1', 'a"b'], copiedRows: 3, copied: false };
    await link.state.query(
      "insert into pgrep.table_position (source, target, route_id, snapshot) values ('local', 'es', 77, $1)",
      [table.snapshot],
    );
    const copy = { kind: 'copy', routeId: '77', table, seenRows: 0 } as const;
    expect(await link.sync([link.changed(route)], copy)).toMatchObject({ committed: true });
    expect(await link.sync([link.changed(route)], copy)).toMatchObject({ committed: false });
    const copying = await link.target.position(link.signal);
    expect(copying.tables.get('77')).toEqual(table);
    expect([copying.snapshot, copying.epoch]).toEqual([before.snapshot, before.epoch]);
    const copied = { ...table, lastKey: null, copied: true };
    await link.sync([link.changed(route)], { ...copy, table: copied, seenRows: 3 });
    expect((await link.target.position(link.signal)).tables.get('77')).toEqual(copied);
    await link.sync([], { kind: 'none' });
    expect((await link.target.position(link.signal)).tables.has('77')).toBe(true);
    await link.sync([link.changed(route)], { kind: 'position', snapshot: '10:20:15', joined: ['77'], durable: false });
    const after = await link.target.position(link.signal);
    expect([after.snapshot, after.tables.has('77')]).toEqual(['10:20:15', false]);
    expect(BigInt(after.epoch) - BigInt(before.epoch)).toBe(2n);
    expect(after.origin).toEqual({ systemIdentifier: '7', database: 'source', timeline: 1 });
  });

  test('G2: builds are raised to the clock, so that a source restored from a backup is not taken for an older one', async () => {
    await link.state.query("select pg_catalog.setval('pgrep.build', 1000)");
    const other = await ElasticsearchLink.open(postgres.url('source'), { url: link.url });
    const start = BigInt(Date.now()) * 1000n;
    await other.target.prepare([], link.signal);
    const raised = BigInt(
      String((await other.state.query('select last_value from pgrep.build')).rows[0]?.['last_value']),
    );
    await other.state.query("select pg_catalog.setval('pgrep.build', $1)", [String(raised + 60_000_000n)]);
    const again = await ElasticsearchLink.open(postgres.url('source'), { url: link.url });
    await again.target.prepare([], link.signal);
    const kept = BigInt(
      String((await again.state.query('select last_value from pgrep.build')).rows[0]?.['last_value']),
    );
    await other[Symbol.asyncDispose]();
    await again[Symbol.asyncDispose]();
    expect(raised).toBeGreaterThanOrEqual(start);
    expect(kept).toBe(raised + 60_000_000n);
  });
});

describe('sweep', () => {
  test('after TRUNCATE only the documents of rows that are there now remain', async () => {
    const route = await link.given(
      'es_sweep',
      'create table es_sweep (id int primary key, t int); insert into es_sweep select g, 0 from generate_series(1, 12000) g',
    );
    await link.sync([link.changed(route)]);
    await link.state.script('truncate es_sweep; insert into es_sweep values (5, 1), (20000, 1)');
    const applied = await link.sync([link.changed(route, { keys: 'values (5)', sweep: true })]);
    expect(applied).toEqual({ committed: true, keys: 2 + 11_999, held: 0 });
    expect((await link.all('es_sweep')).map((hit) => [hit._id, hit._source['t']])).toEqual([
      ['20000', 1],
      ['5', 1],
    ]);
  });
});

describe('poison', () => {
  test('G7: a row that the mapping refuses is held with its key and a request to repeat, the others pass', async () => {
    await link.http('DELETE', '/es_poison');
    await link.http('PUT', '/es_poison', {
      mappings: {
        dynamic: 'strict',
        properties: { a: { type: 'keyword' }, b: { type: 'keyword' }, t: { type: 'integer' } },
      },
    });
    await link.state
      .script(`drop table if exists es_poison; create table es_poison (a text, b int, t text, primary key (a, b));
      insert into es_poison select 'k', g, g::text from generate_series(1, 1000) g;
      insert into es_poison values ('x|y', 1, 'no number'), (repeat('long', 300), 2, 'nor this "one"')`);
    link.held.length = 0;
    const route = await link.route('es_poison');
    await link.target.prepare([route], link.signal);
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 1002, held: 2 });
    expect(await link.count('es_poison', { match_all: {} })).toBe(1000);
    const held = [...link.held].sort((x, y) => x.key[0]?.length ?? 0 - (y.key[0]?.length ?? 0));
    const first = held.find((row) => row.key[0] === 'x|y');
    expect(first).toMatchObject({ key: ['x|y', '1'], reason: 'document_parsing_exception' });
    expect(first?.message).toContain('no number');
    expect(first?.statement).toMatch(
      /^PUT \/es_poison\/_doc\/x%5C%7Cy%7C1\?version=\d+&version_type=external\n\{"a":"x\|y","b":1,"t":"no number"\}$/,
    );
    expect(held.find((row) => row.key[1] === '2')?.key).toEqual(['long'.repeat(300), '2']);
  });

  test('G7: a document that Elasticsearch cannot even read is held alone', async () => {
    const route = await link.given(
      'es_twokeys',
      `create table es_twokeys (id int primary key, j json); insert into es_twokeys values (1, '{"a":1,"a":2}'), (2, '{}')`,
    );
    expect(await link.sync([link.changed(route)])).toEqual({ committed: true, keys: 2, held: 1 });
    expect(link.held.map((row) => row.key)).toEqual([['1']]);
  });

  test('G7: 5,000 refused rows are all recorded, also in a sweep', async () => {
    await link.http('DELETE', '/es_many');
    await link.http('PUT', '/es_many', { mappings: { properties: { t: { type: 'integer' } } } });
    await link.state.script(`drop table if exists es_many; create table es_many (id int primary key, t text);
      insert into es_many select g, case when g % 2 = 0 then 'x' else '1' end from generate_series(1, 10000) g`);
    link.held.length = 0;
    const route = await link.route('es_many');
    await link.target.prepare([route], link.signal);
    expect(await link.sync([link.changed(route, { sweep: true })])).toMatchObject({ committed: true, held: 5000 });
    expect(new Set(link.held.map((row) => row.key[0])).size).toBe(5000);
  });
});
