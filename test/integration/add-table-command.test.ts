import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditSql, digest, Pair } from '../scenario/pair.ts';
import { packageRoot } from '../support/package-root.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { waitFor } from '../support/wait.ts';

let server: PostgresServer;
let elasticsearch: string;
beforeAll(async () => {
  server = await startPostgres({ name: 'add-command' });
  elasticsearch = (await sharedElasticsearch()).url;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function pairWithIndex(name: string, index: string, copyChunkRows = 20_000): Promise<Pair> {
  await fetch(`${elasticsearch}/${index}`, { method: 'DELETE' });
  const pair = await Pair.create(name, { local: server, remote: server });
  pair.configure({ nodes: { es: { elasticsearch } }, replayer: { copyChunkRows } });
  return pair;
}

/** The index's documents by id, without what they are indexed by. */
async function documents(index: string): Promise<Readonly<Record<string, unknown>>> {
  await fetch(`${elasticsearch}/${index}/_refresh`, { method: 'POST' });
  const answer = await fetch(`${elasticsearch}/${index}/_search?size=1000`);
  const { hits } = (await answer.json()) as { hits: { hits: readonly { _id: string; _source: unknown }[] } };
  return Object.fromEntries(hits.hits.map(({ _id, _source }) => [_id, _source]));
}

async function countOf(index: string): Promise<number> {
  await fetch(`${elasticsearch}/${index}/_refresh`, { method: 'POST' });
  return ((await (await fetch(`${elasticsearch}/${index}/_count`)).json()) as { count?: number }).count ?? 0;
}

test('G8: every option at once: a table without primary key, of another node than home, renamed, in part, to a table and an index', async () => {
  await using pair = await pairWithIndex('options', 'waren');
  await pair.sql('remote', `create schema "Lager"; create table "Lager"."Wären" (a integer not null, b text not null, info text, secret text, active boolean, unique (b, a));
    insert into "Lager"."Wären" select i, 'k' || i, 'row ' || i, 'hidden', i <= 3 from generate_series(1, 5) i`); // prettier-ignore
  await pair.sql(
    'local',
    'create schema z; create table z.goods (num integer, b text, note text, primary key (num, b))',
  );
  const args = ['add-table', 'Lager.Wären', '--from', 'remote', '--to', 'local,es', '--as', 'z.goods', '--index', 'waren', '--map', 'a=num,info=note', '--columns', 'a,b,info', '--where', 'active', '--key', 'a,b']; // prettier-ignore
  const { code, stdout, stderr } = await pair.pgrep(...args);
  expect([code, stderr]).toEqual([0, expect.stringMatching(/-> local: 5 rows[^]*-> es: 5 rows/)]);
  expect(stdout).toMatch(/^Created the schema "pgrep" at remote\.\nCreated the schema "pgrep" at local\.\n/);
  expect(stdout).toMatch(
    /Lager\.Wären +remote +local +z\.goods +added +5\nLager\.Wären +remote +es +waren +added +5\n$/,
  );
  await using daemon = await pair.daemon();
  await pair.sql('remote', `update "Lager"."Wären" set a = a + 100, info = 'moved' where a = 1; update "Lager"."Wären" set active = false where a = 2;
    update "Lager"."Wären" set active = true where a = 4; delete from "Lager"."Wären" where a = 3; insert into "Lager"."Wären" values (7, 'x|y', null, 'hidden', true)`); // prettier-ignore
  await pair.arrive();
  expect(await pair.sql('local', 'select * from z.goods order by num')).toEqual([
    { num: 4, b: 'k4', note: 'row 4' },
    { num: 7, b: 'x|y', note: null },
    { num: 101, b: 'k1', note: 'moved' },
  ]);
  expect(await documents('waren')).toEqual({
    '4|k4': { num: 4, b: 'k4', note: 'row 4' },
    [String.raw`7|x\|y`]: { num: 7, b: 'x|y', note: null },
    '101|k1': { num: 101, b: 'k1', note: 'moved' },
  });
  expect(daemon.running).toBe(true);
}, 120_000);

test('other --columns and --map for a table that is there change its route and copy it anew; options not named stay', async () => {
  await using pair = await pairWithIndex('other_columns', 'other_columns');
  await pair.sql('local', "create table public.t (id integer primary key, n integer, info text); insert into public.t select i, i, 'row ' || i from generate_series(1, 50) i"); // prettier-ignore
  await pair.sql('remote', 'create table public.t (id integer primary key, n integer, info text, note text)');
  const add = async (...args: string[]): Promise<unknown> =>
    await pair.json('add-table', 'public.t', '--to', 'remote', ...args);
  await add('--columns', 'id,n', '--where', 'id <= 40');
  await using daemon = await pair.daemon();
  expect(await add('--columns', 'id,info', '--map', 'info=note')).toMatchObject({
    routes: [{ change: 'changed', copiedRows: 50 }],
  });
  await pair.sql('local', "update public.t set n = -1, info = 'late' where id = 7; update public.t set info = 'out' where id = 45"); // prettier-ignore
  await pair.arrive();
  expect(await pair.sql('remote', 'select id, n, note from public.t where id in (6, 7, 45, 46)')).toEqual([
    { id: 6, n: 6, note: 'row 6' },
    { id: 7, n: 7, note: 'late' },
  ]);
  expect(await add('--where', 'true')).toMatchObject({ routes: [{ change: 'changed', copiedRows: 50 }] });
  await pair.expectEqual(
    'select id, info from public.t order by id',
    'select id, note as info from public.t order by id',
  );
  expect(daemon.running).toBe(true);
}, 120_000);

test('G2, G3: copies that kill -9 ended are finished by pgrep copy without a daemon, no row written twice', async () => {
  await using pair = await pairWithIndex('copy_killed', 'copy_killed', 500);
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.sql('remote', auditSql);
  await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 30000) i');
  const arrived = {
    remote: async (): Promise<number> => Number(await pair.value('remote', 'select count(*) from public.t')),
    es: async (): Promise<number> => await countOf('copy_killed'),
  };
  for (const to of ['remote', 'es'] as const) {
    await using copying = pair.spawn('add-table', 'public.t', '--to', to, '--index', 'copy_killed');
    await waitFor(async () => (await arrived[to]()) > 1_000, { what: `the copy to ${to} to be under way` });
    copying.kill('SIGKILL');
    await copying.exit();
    expect(await arrived[to]()).toBeLessThan(30_000);
  }
  expect(await pair.json('status')).toMatchObject({ links: [{ copying: 1 }, { copying: 1 }] });
  expect(await pair.json('copy', 'public.t')).toMatchObject({
    tables: [{ copiedRows: 30_000 }, { copiedRows: 30_000 }],
  });
  await pair.expectEqual(digest);
  expect(await pair.value('remote', 'select count(*)::integer from public.audit')).toBe(30_000);
  expect(await arrived.es()).toBe(30_000);
  expect((await pair.pgrep('copy', 'public.t')).code).toBe(3);
}, 180_000);

test('on a terminal a copy shows a bar with rows, rate and time left, and leaves the terminal to the result', async () => {
  await using pair = await pairWithIndex('terminal', 'terminal', 500);
  await pair.both('create table public.t (id integer primary key, n integer not null)');
  await pair.sql('local', 'insert into public.t select i, 0 from generate_series(1, 150000) i; analyze public.t');
  const main = join(packageRoot, 'dist', 'cli', 'main.js');
  // `script` gives the command a terminal of its own.
  const { stdout } = await promisify(execFile)('script', ['-qec', `stty cols 120; ${process.execPath} ${main} add-table public.t --to remote`, '/dev/null'], { cwd: pair.folder, env: { ...process.env, PGREP_CONFIG: undefined, TERM: 'xterm' } }); // prettier-ignore
  const shown = stdout.replaceAll('\r', '\n');
  expect(shown).toMatch(/public\.t -> remote {2}█+░+ \d+% {2}[\d,]+ rows {2}[\d,]+\/s {2}\d+ s left/);
  expect(shown).toMatch(/public\.t -> remote {2}█{24} 100% {2}150,000 rows {2}[\d,]+\/s {2}done/);
  // The cursor is shown again before the result stands below.
  expect(shown.lastIndexOf('\u001b[?25h')).toBeGreaterThan(shown.lastIndexOf('done'));
  expect(shown).toMatch(/public\.t +local +remote +public\.t +added +150,000\s*$/);
}, 120_000);
