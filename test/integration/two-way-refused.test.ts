import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AddTableOptions } from '../../src/app/results.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { fill, Mesh, remove, tableSql } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'two-way-no' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function fresh(name: string, nodes: readonly string[] = ['a', 'b', 'c']): Promise<Mesh> {
  return await Mesh.create(server, name, { nodes, sql: tableSql });
}

describe('add-table --two-way refuses, says why, and changes nothing:', () => {
  let mesh: Mesh;
  let before: unknown;
  const state = async (): Promise<unknown> =>
    await mesh.everywhere(
      "select relname, relnamespace::regnamespace::text from pg_class where relnamespace::regnamespace::text in ('public', 'pgrep') order by 2, 1",
    );
  beforeAll(async () => {
    mesh = await fresh('refused', ['a', 'b', 'c']);
    await mesh.sql('a', fill);
    await mesh.sql('b', 'create table public.wide (id bigint primary key, n integer, info text)');
    await mesh.sql('b', 'create table public.limited (id integer primary key, n integer, info varchar(5))');
    await mesh.sql(
      'b',
      'create table public.filled (like public.t including all); insert into public.filled values (1)',
    );
    await mesh.sql('b', 'create table public.otherkey (id integer, n integer primary key, info text)');
    await mesh.sql(
      'a',
      'create function public.pick(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql as $$ select a $$',
    );
    await mesh.sql(
      'a',
      'create function public.count(a public.t, av bigint, b public.t, bv bigint) returns integer language sql as $$ select 1 $$',
    );
    mesh.configure({ es: 'http://127.0.0.1:9' });
    before = await state();
  });
  afterAll(async () => {
    await mesh[Symbol.asyncDispose]();
  });

  const as = (name: string): Partial<AddTableOptions> => ({ as: { schema: 'public', name } });
  const named = (name: string): Partial<AddTableOptions> => ({
    policy: 'function',
    policyFunction: { schema: 'public', name },
  });
  const cases: readonly [string, Partial<AddTableOptions>, string, RegExp, RegExp][] = [
    ['a filter', { where: 'n > 0' }, 'route', /--where cannot be used on two-way routes/, /one-way route/],
    ['--replace', { replace: true }, 'usage', /--replace deletes rows/, /--merge/],
    ['--merge with --no-copy', { merge: true, copy: false }, 'usage', /--merge copies/, /--no-copy/],
    [
      'Elasticsearch',
      { to: ['b', 'es'] },
      'usage',
      /es is Elasticsearch/,
      /command of its own: pgrep add-table public\.t --to es; and here write --to b/,
    ],
    [
      'a target that holds rows',
      as('filled'),
      'route',
      /public\.filled of node b already holds rows/,
      /--no-copy[^]*--merge/,
    ],
    [
      'a key of another type',
      as('wide'),
      'route',
      /Column id of public\.t is integer at a, but id of public\.wide is bigint at b/,
      /same type/,
    ],
    [
      'a column of another length',
      as('limited'),
      'route',
      /Column info of public\.t is text at a, but info of public\.limited is character varying\(5\)/,
      /--columns/,
    ],
    ['another key', as('otherkey'), 'table', /\(id\) has no unique index|column id, which may be null/, /./],
    ['a table that is missing', as('nowhere'), 'target', /has no table public\.nowhere/, /create table/],
    [
      'the policy function without a function',
      { policy: 'function' },
      'usage',
      /needs --policy-function/,
      /schema\.name/,
    ],
    [
      'a function without its policy',
      { policyFunction: { schema: 'public', name: 'pick' } },
      'usage',
      /means nothing with the policy last-write-wins/,
      /--policy function/,
    ],
    [
      'a function that one node lacks',
      named('pick'),
      'route',
      /"public"\."pick" cannot decide between two rows of public\.t at node b/,
      /create function "public"\."pick"\(a "public"\."t", a_version bigint/,
    ],
    [
      'a function that gives no row',
      named('count'),
      'route',
      /cannot decide between two rows of public\.t at node a/,
      /returns "public"\."t"/,
    ],
  ];

  test.each(cases)('%s', async (...[, options, code, message, hint]) => {
    await expect(mesh.add({ to: ['b'], ...options })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
      hint: expect.stringMatching(hint) as string,
    });
    expect(await state()).toEqual(before);
  });

  test('options of two-way routes on a one-way route', async () => {
    for (const options of [{ merge: true }, { forward: true }, { policy: 'hold' as const }]) {
      await expect(mesh.add({ to: ['b'], twoWay: false, ...options })).rejects.toMatchObject({
        code: 'usage',
        hint: expect.stringMatching(/--two-way/) as string,
      });
    }
    expect(await state()).toEqual(before);
  });

  test('options of two-way routes when one of the nodes named is linked one-way', async () => {
    await using mixed = await fresh('mixed');
    await mixed.add({ to: ['b'] });
    const options = "select r.target, r.options ->> 'policy' as policy from pgrep.route r";
    await expect(mixed.add({ to: ['b', 'c'], twoWay: false, policy: 'hold' })).rejects.toMatchObject({ code: 'usage' });
    expect(await mixed.sql('a', options)).toEqual([{ target: 'b', policy: 'last-write-wins' }]);
  });

  test('sequences that cannot be interleaved', async () => {
    await using serial = await Mesh.create(server, 'serial', {
      nodes: ['a', 'b'],
      sql: 'create table public.t (id serial primary key, n integer, info text)',
    });
    await serial.sql('b', 'alter sequence public.t_id_seq increment -1 minvalue -100');
    await expect(serial.add({ to: ['b'], sequences: 'interleave' })).rejects.toMatchObject({ code: 'table' });
    expect(await serial.sql('a', "select to_regnamespace('pgrep') as there")).toEqual([{ there: null }]);
  });

  test('a new node that the others would not hear of', async () => {
    await using joined = await fresh('partial');
    await joined.add({ to: ['b'] });
    await expect(joined.add({ to: ['c'] })).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/public\.t of a is kept equal with b too/) as string,
      hint: expect.stringMatching(
        /--to c,b; or let a pass changes on: .*--from a --to c --two-way --forward/,
      ) as string,
    });
    await expect(joined.add({ from: 'c', to: ['b'] })).rejects.toMatchObject({
      message: expect.stringMatching(/public\.t of b is kept equal with a too/) as string,
    });
    expect(await joined.sql('c', "select to_regclass('pgrep.route') as there")).toEqual([{ there: null }]);
  });

  test('other columns for routes that are there, and routes with a filter', async () => {
    await using there = await fresh('fixed', ['a', 'b']);
    await there.add({ to: ['b'], where: 'n > 0', twoWay: false });
    await expect(there.add({ to: ['b'] })).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/with a filter \(n > 0\)/) as string,
    });
    await remove(there);
    await there.add({ to: ['b'] });
    await expect(there.add({ to: ['b'], columns: ['id', 'n'] })).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/with other columns/) as string,
    });
  });

  test('nodes of one id, and a node that was forgotten', async () => {
    await using ids = await fresh('ids', ['a', 'b']);
    await ids.pgrep('init');
    await ids.sql('a', "insert into pgrep.node (node_id, name) values (2, 'z')");
    await expect(ids.add({ to: ['b'] })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/Nodes b and z both have the id 2/) as string,
    });
    await ids.sql('a', "update pgrep.node set name = 'b 2', forgotten = true where node_id = 2");
    await expect(ids.add({ to: ['b'] })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/b \(id 2\) was forgotten/) as string,
    });
  });
});
