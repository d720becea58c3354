import { afterAll, beforeAll, expect, test } from 'vitest';
import { Pair } from '../scenario/pair.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
let pair: Pair;
beforeAll(async () => {
  server = await startPostgres({ name: 'dry' });
  pair = await Pair.create('dry', { local: server, remote: server });
  // Nothing listens there: a dry run asks Elasticsearch nothing.
  pair.configure({ nodes: { es: { elasticsearch: 'http://127.0.0.1:9' } } });
  await pair.sql(
    'local',
    'create table public.t (id integer, part text, info text, amount numeric(10, 2), primary key (id, part))',
  );
  await pair.sql(
    'remote',
    'create schema r; create table r.t2 (id integer, part text, note text, amount numeric(10, 2), primary key (id, part))',
  );
});
afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** What the command prints; fails when it changes anything in either catalog or in pgrep's tables. */
async function dry(...args: string[]): Promise<string> {
  const before = await Promise.all([pair.catalog('local'), pair.catalog('remote')]);
  const { code, stdout, stderr } = await pair.pgrep(...args, '--dry-run');
  expect([code, stderr]).toEqual([0, '']);
  expect(await Promise.all([pair.catalog('local'), pair.catalog('remote')])).toEqual(before);
  return stdout;
}

const golden = (name: string): string => `../golden/dry-run-${name}.txt`;
const renamed = ['--as', 'r.t2', '--map', 'info=note'];

test('init --dry-run prints what psql would take: run by hand it makes the same schema', async () => {
  const printed = await dry('init');
  const [local = '', remote = ''] = printed.split('-- at remote\n');
  await using other = await Pair.create('by_hand', { local: server, remote: server });
  await using made = await Pair.create('by_command', { local: server, remote: server });
  await other.sql('local', local);
  await other.sql('remote', remote);
  await made.json('init');
  for (const node of ['local', 'remote'] as const) {
    const lines = (catalog: readonly string[]): readonly string[] =>
      catalog.filter((line) => /^(schema|relation pgrep|column|function|constraint|node) /.test(line));
    expect(lines(await other.catalog(node))).toEqual(lines(await made.catalog(node)));
  }
});

test('add-table --dry-run shows capture, routes and the index; before init it begins with the schema', async () => {
  expect(await dry('add-table', 'public.t', '--to', 'remote', ...renamed)).toMatch(
    /^-- at local\n[^]*create schema if not exists pgrep/,
  );
  await pair.json('init');
  const printed = await dry(
    'add-table',
    'public.t',
    '--to',
    'remote,es',
    ...renamed,
    '--where',
    "amount > 0 and part <> 'it''s'",
  );
  await expect(printed).toMatchFileSnapshot(golden('add-table'));
});

test('add-table --dry-run of a route that is there shows the change, or that there is none', async () => {
  await pair.json('add-table', 'public.t', '--to', 'remote', ...renamed);
  await expect(await dry('add-table', 'public.t', '--to', 'remote')).toMatchFileSnapshot(golden('add-table-unchanged'));
  const changed = await dry('add-table', 'public.t', '--to', 'remote', '--where', 'id > 10');
  await expect(changed).toMatchFileSnapshot(golden('add-table-changed'));
});

test('add-table --dry-run refuses what add-table would refuse', async () => {
  const { code, stdout } = await pair.pgrep('add-table', 'public.t', '--to', 'remote', '--where', 'id >', '--dry-run');
  expect([code, stdout]).toEqual([2, '']);
});

test('errors discard and retry-errors --dry-run name what they would touch', async () => {
  await pair.sql(
    'local',
    `insert into pgrep.sync_err_rec (nsp_name, table_name, dst_server, dst_query, route_id, key, reason, message, create_time, last_time, next_time)
    select 'public', 't', 'remote', 'select 1', route_id, '{1,a}', '23514', 'refused', '2026-01-01', '2026-01-01', '2026-01-01' from pgrep.route`,
  );
  const id = String(await pair.value('local', 'select id from pgrep.sync_err_rec'));
  expect(await dry('errors', 'discard', id)).toMatch(/^Would discard 1 record\.\n/);
  const before = await pair.catalog('local');
  const retried = await pair.pgrep('retry-errors', '--dry-run');
  expect(retried.stdout).toMatch(/1 record/);
  expect(await pair.catalog('local')).toEqual(before);
});

test('remove-table and uninstall --dry-run show what is dropped', async () => {
  await expect(await dry('remove-table', 'public.t')).toMatchFileSnapshot(golden('remove-table'));
  await expect(await dry('uninstall')).toMatchFileSnapshot(golden('uninstall'));
});

test('commands without a dry run say so', async () => {
  for (const args of [['run'], ['copy', 'public.t']]) {
    const { code, stderr } = await pair.pgrep(...args, '--dry-run');
    expect([code, stderr]).toEqual([2, expect.stringMatching(/dry-run/)]);
  }
});
