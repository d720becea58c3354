import { afterAll, beforeAll, expect, test } from 'vitest';
import { Pair, type Records } from '../scenario/pair.ts';
import { connect, one } from './replay-pair.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'retry' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const short = 'id integer primary key, info text constraint short check (length(info) < 4)';

interface Retried {
  readonly target: string | null;
  readonly tried: number;
  readonly succeeded: number;
  readonly remaining: Records;
  readonly remainingTotal: number;
}

/** A table that goes to two targets, neither of which takes long texts; held: 1 to 3 at `remote`, then 11 and 12 at `third`. */
async function held(name: string): Promise<{ pair: Pair; third: string }> {
  const pair = await Pair.create(name, { local: server, remote: server });
  const third = await server.createDatabase(`${name}_third`);
  pair.configure({ nodes: { third: { postgres: third } } });
  const client = await connect(third);
  await client.query(`create table public.t (${short})`);
  await client.end();
  await pair.sql('remote', `create table public.t (${short})`);
  await pair.sql('local', 'create table public.t (id integer primary key, info text)');
  await pair.json('add-table', 'public.t', '--to', 'remote', '--where', 'id < 10');
  await pair.json('add-table', 'public.t', '--to', 'third', '--where', 'id >= 10');
  await using daemon = await pair.daemon();
  for (const ids of ['1, 3', '11, 12']) {
    await pair.sql('local', `insert into public.t select i, 'too long' from generate_series(${ids}) i`);
    await pair.arrive();
  }
  daemon.kill('SIGTERM');
  await daemon.exit(5_000);
  return { pair, third };
}

/** What `retry-errors` says, with its exit status. */
async function retry(pair: Pair, ...args: string[]): Promise<Retried & { readonly code: number | null }> {
  const { code, stdout } = await pair.pgrep('retry-errors', ...args, '--json');
  return { ...(JSON.parse(stdout) as Retried), code };
}

test('retry-errors takes the target that has waited longest, or that of --to, and applies its records in one transaction', async () => {
  const { pair, third } = await held('oldest');
  await using here = pair;
  expect(await retry(here, '--limit', '500')).toMatchObject({
    code: 3,
    target: 'remote',
    tried: 3,
    succeeded: 0,
    remainingTotal: 5,
  });
  expect(await retry(here, '--to', 'third', '--limit', '1')).toMatchObject({ target: 'third', tried: 1 });
  await here.sql('remote', 'alter table public.t drop constraint short');
  expect(await retry(here)).toMatchObject({
    code: 3,
    target: 'remote',
    tried: 3,
    succeeded: 3,
    remaining: [],
    remainingTotal: 2,
  });
  expect(await here.sql('remote', 'select id, count(*) over (partition by xmin::text)::integer as together from public.t order by id')).toEqual([1, 2, 3].map((id) => ({ id, together: 3 }))); // prettier-ignore
  const client = await connect(third);
  expect(await one(client, 'select id from public.t')).toEqual([]);
  await client.query('alter table public.t drop constraint short');
  // The oldest target is now the other one.
  expect(await retry(here)).toMatchObject({ code: 0, target: 'third', tried: 2, succeeded: 2, remainingTotal: 0 });
  expect(await one(client, 'select id from public.t order by id')).toEqual(['11', '12']);
  await client.end();
  expect(await retry(here)).toMatchObject({ code: 0, target: null, tried: 0 });
}, 120_000);

test('retry-errors prints what remains and why, and elsewhere how much', async () => {
  const { pair } = await held('printed');
  await using here = pair;
  await here.sql('local', "update public.t set info = 'ok' where id = 2");
  const { code, stdout } = await here.pgrep('retry-errors');
  expect(code).toBe(3);
  expect(stdout).toMatch(/^Tried 3 records of remote: 1 succeeded, 2 did not\.\n2 records remain for remote:\n/);
  expect(stdout).toMatch(/\(?1\)? .*23514 .*violates check constraint "short"/);
  expect(stdout).not.toMatch(/local->remote +public\.t +\(?2\)? /);
  expect(stdout).toContain('2 records remain elsewhere: pgrep errors list');
});

test('of several sources the one with the oldest record comes first, in retry-errors and in errors list', async () => {
  await using pair = await Pair.create('sources', { local: server, remote: server });
  await pair.sql(
    'local',
    `create table public.t (id integer primary key, info text); create table public.back (${short})`,
  );
  await pair.sql(
    'remote',
    `create table public.t (${short}); create table public.back (id integer primary key, info text)`,
  );
  await pair.json('add-table', 'public.t', '--to', 'remote');
  await pair.json('add-table', 'public.back', '--from', 'remote', '--to', 'local');
  await using daemon = await pair.daemon();
  for (const [node, table] of [
    ['remote', 'back'],
    ['local', 't'],
  ] as const) {
    await pair.sql(node, `insert into public.${table} values (1, 'too long')`);
    await pair.arrive();
  }
  daemon.kill('SIGTERM');
  await daemon.exit(5_000);
  const records = (await pair.json('errors', 'list')) as Records;
  expect(records.map(({ source, dst_server }) => [source, dst_server])).toEqual([
    ['remote', 'local'],
    ['local', 'remote'],
  ]);
  await pair.sql('local', 'alter table public.back drop constraint short');
  expect(await retry(pair)).toMatchObject({ target: 'local', tried: 1, succeeded: 1, remainingTotal: 1 });
  expect(await retry(pair)).toMatchObject({ target: 'remote', tried: 1, succeeded: 0, remainingTotal: 1 });
}, 120_000);

test('beside a running daemon retry-errors and errors discard free the key: its next change is replicated at once', async () => {
  const { pair, third } = await held('beside');
  await using here = pair;
  await using daemon = await here.daemon();
  await here.sql('remote', 'alter table public.t drop constraint short');
  await here.json('retry-errors', '--to', 'remote');
  await here.sql('local', "update public.t set info = 'changed after the retry' where id = 1");
  await here.arrive();
  expect(await here.value('remote', 'select info from public.t where id = 1')).toBe('changed after the retry');
  const ids = ((await here.json('errors', 'list')) as Records).map(({ id }) => String(id));
  expect(ids).toHaveLength(2);
  await here.json('errors', 'discard', ...ids);
  expect(await here.json('errors', 'list')).toEqual([]);
  await here.sql('local', "update public.t set info = 'ok' where id = 11");
  await here.arrive();
  expect(await here.json('errors', 'list')).toEqual([]);
  const client = await connect(third);
  expect(await one(client, 'select t::text from t')).toEqual(['(11,ok)']);
  await client.end();
  expect(daemon.running).toBe(true);
}, 120_000);
