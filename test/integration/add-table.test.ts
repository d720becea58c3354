import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addTable } from '../../src/app/add-table.ts';
import { initNodes } from '../../src/app/init.ts';
import type { AddTableOptions, AddTableResult } from '../../src/app/results.ts';
import { uninstall } from '../../src/app/uninstall.ts';
import { Pair } from '../scenario/pair.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'add' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const never = new AbortController().signal;
const silent = (): void => undefined;
const table = { schema: 'public', name: 't' };

async function add(pair: Pair, options: Partial<AddTableOptions> = {}): Promise<AddTableResult> {
  await using app = pair.app();
  const defaults = { table, to: ['remote'], copy: true, replace: false, dryRun: false };
  return await addTable(app, { ...defaults, ...options }, silent, never);
}

async function fresh(name: string): Promise<Pair> {
  const pair = await Pair.create(name, { local: server, remote: server });
  await pair.both('create table public.t (id integer primary key, n integer, info text)');
  await pair.sql('local', "insert into public.t select i, i, 'row ' || i from generate_series(1, 100) i");
  return pair;
}

const rowCount = 'select count(*)::integer from public.t';
const all = 'select * from public.t order by id';

describe('add-table refuses, says why, and leaves both nodes as they were:', () => {
  let pair: Pair;
  let before: readonly (readonly string[])[];
  beforeAll(async () => {
    pair = await fresh('refused');
    await pair.sql('remote', 'create table public.nokey (id integer, n integer, info text)');
    await pair.sql(
      'remote',
      'create table public.generated (id integer primary key, n integer generated always as (id) stored, info text)',
    );
    await pair.sql('remote', 'create table public.narrow (id integer primary key)');
    await pair.sql('local', 'create table public.keyless (id integer, u integer not null unique)');
    before = await Promise.all([pair.catalog('local'), pair.catalog('remote')]);
  });
  afterAll(async () => {
    await pair[Symbol.asyncDispose]();
  });

  const as = (name: string): Partial<AddTableOptions> => ({ as: { schema: 'public', name } });
  const cases: readonly [string, Partial<AddTableOptions>, string, RegExp, RegExp][] = [
    ['an unknown target', { to: ['moon'] }, 'usage', /no node moon/, /local, remote/],
    ['an unknown source', { from: 'moon' }, 'usage', /no node moon/, /local, remote/],
    ['the source as its target', { to: ['local'] }, 'usage', /its own target/, /--to/],
    [
      'an unknown table',
      { table: { schema: 'public', name: 'nowhere' } },
      'table',
      /no table public\.nowhere/,
      /spelling/,
    ],
    ['an unknown column in --columns', { columns: ['id', 'm'] }, 'route', /no column m\b/, /id, n, info/],
    ['an unknown column in --map', { map: { m: 'x' } }, 'route', /no column m\b/, /id, n, info/],
    ['an unknown column in --key', { key: ['m'] }, 'table', /column m, which the table does not have/, /id, n, info/],
    ['--columns without the key', { columns: ['n'] }, 'route', /leaves out id/, /--columns id,n/],
    ['two columns of one name', { map: { n: 'info' } }, 'route', /Two columns would both be info/, /--map/],
    ['--where that does not parse', { where: 'n >' }, 'route', /--where 'n >' cannot be used/, /SQL condition/],
    ['--where of an unknown column', { where: 'm > 0' }, 'route', /m/, /SQL condition/],
    ['--where that is no condition', { where: 'n + 1' }, 'route', /boolean/, /SQL condition/],
    [
      '--where that closes its bracket',
      { where: 'true); drop table public.t; select (true' },
      'route',
      /cannot be used/,
      /SQL condition/,
    ],
    [
      '--where with a sub-query',
      { where: 'n in (select n from public.t)' },
      'route',
      /contains a query/,
      /columns of the row itself/,
    ],
    [
      '--where with exists',
      { where: 'exists (select from public.keyless k where k.id = n)' },
      'route',
      /contains a query/,
      /columns of the row/,
    ],
    [
      '--where with a scalar query',
      { where: 'n > (select max(u) from public.keyless)' },
      'route',
      /contains a query/,
      /columns of the row/,
    ],
    ['a target table that is missing', as('nowhere'), 'target', /has no table public\.nowhere/, /create table/],
    ['a target table without a key', as('nokey'), 'target', /no unique index on \(id\)/, /create unique index/],
    [
      'a target column that is generated',
      { ...as('generated'), columns: ['id', 'n'] },
      'target',
      /column n is generated/,
      /--columns/,
    ],
    ['a target that lacks a column', as('narrow'), 'target', /no column n\b/, /--columns/],
    [
      'a source table without a key',
      { table: { schema: 'public', name: 'keyless' } },
      'table',
      /no primary key/,
      /--key u/,
    ],
  ];

  test.each(cases)('%s', async (...[, options, code, message, hint]) => {
    const failed = add(pair, options);
    await expect(failed).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    });
    expect(await Promise.all([pair.catalog('local'), pair.catalog('remote')])).toEqual(before);
  });

  test('a target that holds rows already, unless told what to do with them', async () => {
    await using filled = await fresh('filled');
    await filled.sql('remote', "insert into public.t values (1, 0, 'theirs'), (1000, 0, 'theirs')");
    const catalogs = await Promise.all([filled.catalog('local'), filled.catalog('remote')]);
    await expect(add(filled)).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/already holds rows/) as string,
      hint: expect.stringMatching(/--no-copy[^]*--replace/) as string,
    });
    expect(await Promise.all([filled.catalog('local'), filled.catalog('remote')])).toEqual(catalogs);
    expect((await add(filled, { replace: true })).routes).toMatchObject([{ change: 'added', copiedRows: 100 }]);
    await filled.expectEqual(all);
  });
});

describe('add-table', () => {
  test('runs init where it is missing and says so; repeated, it changes nothing and copies nothing', async () => {
    await using pair = await fresh('repeated');
    expect(await add(pair)).toMatchObject({
      initialised: ['local', 'remote'],
      routes: [{ change: 'added', copiedRows: 100 }],
    });
    await pair.expectEqual(all);
    const before = await Promise.all([pair.catalog('local'), pair.catalog('remote')]);
    expect(await add(pair)).toMatchObject({ initialised: [], routes: [{ change: 'unchanged', copiedRows: 0 }] });
    expect(await Promise.all([pair.catalog('local'), pair.catalog('remote')])).toEqual(before);
  });

  test('with --no-copy leaves what the target holds and replicates from now on', async () => {
    await using pair = await fresh('nocopy');
    await pair.sql('remote', "insert into public.t values (1, 0, 'theirs')");
    expect(await add(pair, { copy: false })).toMatchObject({ routes: [{ change: 'added', copiedRows: 0 }] });
    await pair.sql('local', 'update public.t set n = 7 where id = 2');
    await using daemon = await pair.daemon();
    await pair.arrive();
    expect(await pair.sql('remote', all)).toEqual([
      { id: 1, n: 0, info: 'theirs' },
      { id: 2, n: 7, info: 'row 2' },
    ]);
    expect(daemon.running).toBe(true);
  });

  test('with another --as or --key for a table that is there is refused with the reason', async () => {
    await using pair = await fresh('moved');
    await add(pair);
    await pair.sql('remote', 'create table public.other (like public.t including all)');
    await expect(add(pair, { as: { schema: 'public', name: 'other' } })).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/replicated to public\.t of remote already/) as string,
      hint: expect.stringMatching(/pgrep remove-table public\.t --to remote/) as string,
    });
    await pair.sql('local', 'alter table public.t alter column n set not null, add unique (n)');
    await expect(add(pair, { key: ['n'] })).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/captured by the key \(id\) already/) as string,
    });
  });

  test('with another --where, before any daemon ran, copies again and deletes what the filter drops', async () => {
    await using pair = await fresh('refiltered');
    await add(pair, { where: 'n > 10' });
    expect(await pair.value('remote', rowCount)).toBe(90);
    const result = await add(pair, { where: 'n <= 50' });
    expect(result).toMatchObject({ routes: [{ change: 'changed', copiedRows: 100 }] });
    await pair.expectEqual('select * from public.t where n <= 50 order by id', all);
  });

  test('of two targets refuses both when one of them will not do', async () => {
    await using pair = await fresh('two');
    const third = await server.createDatabase('two_third');
    pair.configure({ nodes: { third: { postgres: third } } });
    const before = await pair.catalog('local');
    await expect(add(pair, { to: ['remote', 'third'] })).rejects.toMatchObject({ code: 'target' });
    expect(await pair.catalog('local')).toEqual(before);
    expect(await pair.catalog('remote')).not.toContainEqual(expect.stringMatching(/schema pgrep/));
  });
});

describe('the schema pgrep', () => {
  test('is made once by many that init at the same moment', async () => {
    await using pair = await fresh('many');
    const results = await Promise.all(
      Array.from({ length: 4 }, async () => {
        await using app = pair.app();
        return await initNodes(app, { dryRun: false }, never);
      }),
    );
    const ids = results.map(({ nodes }) => nodes.map(({ nodeId }) => nodeId));
    expect(new Set(ids.map(String)).size).toBe(1);
    const created = results.flatMap(({ nodes }) => nodes).filter(({ change }) => change === 'created');
    expect(created).toHaveLength(2);
  });

  test('newer than the program, or with an edited migration, is refused with status 5', async () => {
    await using pair = await fresh('newer');
    await pair.json('init');
    await pair.sql('local', "insert into pgrep.migration (name, checksum) values ('9999_future.sql', 'x')");
    const newer = await pair.pgrep('status');
    expect([newer.code, newer.stderr]).toEqual([5, expect.stringMatching(/9999_future\.sql[^]*newer/)]);
    expect((await pair.pgrep('add-table', 'public.t', '--to', 'remote')).code).toBe(5);
    await pair.sql('local', "delete from pgrep.migration where name = '9999_future.sql'");
    await pair.sql('local', "update pgrep.migration set checksum = 'edited' where name = '0001_init.sql'");
    const edited = await pair.pgrep('init');
    expect([edited.code, edited.stderr]).toEqual([5, expect.stringMatching(/0001_init\.sql/)]);
  });

  test('is removed by uninstall with everything else of pgrep; tables stay as they were and writable', async () => {
    await using pair = await fresh('uninstalled');
    const before = await Promise.all([pair.catalog('local'), pair.catalog('remote')]);
    await add(pair);
    await using app = pair.app();
    await uninstall(app, { dryRun: false }, never);
    expect(await Promise.all([pair.catalog('local'), pair.catalog('remote')])).toEqual(before);
    await pair.sql(
      'local',
      "insert into public.t values (101, 1, 'new'); update public.t set n = 0; truncate public.t",
    );
    expect(await pair.value('remote', rowCount)).toBe(100);
  });
});

describe('G8: the owner of a table, without superuser,', () => {
  test('sets everything up on both sides, and a role with write rights on the table only still writes it', async () => {
    await using pair = await fresh('owner');
    await pair.sql('local', 'create role app_owner login; create role app_writer login');
    for (const node of ['local', 'remote'] as const) {
      const database = new URL(pair.url[node]).pathname.slice(1);
      await pair.sql(
        node,
        `alter table public.t owner to app_owner; grant create on database ${database} to app_owner`,
      );
    }
    await pair.sql('local', 'grant select, insert, update, delete on public.t to app_writer');
    const url = (node: 'local' | 'remote', user: string): string => pair.url[node].replace('postgres@', `${user}@`);
    pair.configure({ url: { local: url('local', 'app_owner'), remote: url('remote', 'app_owner') } });
    expect(await add(pair)).toMatchObject({ initialised: ['local', 'remote'], routes: [{ copiedRows: 100 }] });
    await using daemon = await pair.daemon();
    await using writer = new Pair({ local: url('local', 'app_writer'), remote: url('remote', 'app_writer') });
    await writer.sql('local', "insert into public.t values (101, 1, 'by the writer')");
    await writer.sql('local', 'update public.t set id = 102 where id = 101');
    await writer.sql('local', 'delete from public.t where id = 1');
    await pair.arrive();
    await pair.expectEqual(all);
    await expect(writer.sql('local', 'select * from pgrep.route')).rejects.toMatchObject({ code: '42501' });
    expect(daemon.running).toBe(true);
  });
});
