import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'columns', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const shared = 'select id, n from public.t order by id';

test('G5: with --columns these are kept equal in both directions, and each node keeps its own values of the others', async () => {
  await using mesh = await Mesh.create(server, 'subset', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  expect((await mesh.pgrep('add-table', 'public.t', '--to', 'b,c', '--two-way', '--columns', 'id,n')).code).toBe(0);
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "update public.t set info = 'own of b'");
  await mesh.sql('b', "update public.t set n = -1 where id = 1; insert into public.t values (21, 1, 'b'); delete from public.t where id = 2; update public.t set id = 22 where id = 3"); // prettier-ignore
  await sameEverywhere(mesh, shared);
  await mesh.sql('a', "update public.t set n = n - 1, info = 'own of a' where id in (1, 21)");
  await mesh.sql('c', 'update public.t set n = 0 where id = 4');
  const [one, four] = (await sameEverywhere(mesh, shared)).filter(({ id }) => id === 1 || id === 4);
  expect([one, four]).toEqual([{ id: 1, n: -2 }, { id: 4, n: 0 }]); // prettier-ignore
  const own = 'select id, info from public.t where id in (1, 4, 21, 22) order by id';
  expect(await mesh.everywhere(own)).toEqual({
    a: [{ id: 1, info: 'own of a' }, { id: 4, info: 'row 4' }, { id: 21, info: 'own of a' }, { id: 22, info: null }], // prettier-ignore
    b: [{ id: 1, info: 'own of b' }, { id: 4, info: 'own of b' }, { id: 21, info: 'b' }, { id: 22, info: 'own of b' }], // prettier-ignore
    c: [{ id: 1, info: null }, { id: 4, info: null }, { id: 21, info: null }, { id: 22, info: null }], // prettier-ignore
  });
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

test('G6: rows that differ in columns that are not replicated only are agreement; a conflict has the replicated columns, and its restore leaves the others', async () => {
  await using mesh = await Mesh.create(server, 'agreed', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'], columns: ['id', 'n'] });
  for (const [place, node] of mesh.nodes.entries()) await mesh.sql(node, `update public.t set info = 'of ${node}' where id = 1; update public.t set n = ${place}, info = 'of ${node}' where id = 2`); // prettier-ignore
  await using daemon = await replaying(mesh);
  expect((await sameEverywhere(mesh, shared)).slice(0, 2)).toEqual([{ id: 1, n: 1 }, { id: 2, n: 1 }]); // prettier-ignore
  // By which of the two it is found depends on whose batch comes first.
  const all = await mesh.everywhere('select id::text as id, key[1] as key, local_row, remote_row from pgrep.conflict');
  const rows = { a: { id: 2, n: 0 }, b: { id: 2, n: 1 } };
  const [node = '', [found] = []] = Object.entries(all).find(([, each]) => each.length > 0) ?? [];
  for (const each of Object.values(all).flat()) expect(each).toMatchObject({ key: '2' });
  expect(found).toMatchObject(node === 'a' ? { local_row: rows.a, remote_row: rows.b } : { local_row: rows.b, remote_row: rows.a }); // prettier-ignore
  expect((await mesh.pgrep('conflicts', 'restore', String(found?.['id']), '--node', node)).code).toBe(0);
  await waitFor(async () => (await sameEverywhere(mesh, shared))[1]?.['n'] === 0, { what: 'the restored row at both' });
  const own = 'select info from public.t where id <= 2 order by id';
  expect(await mesh.everywhere(own)).toEqual({ a: [{ info: 'of a' }, { info: 'of a' }], b: [{ info: 'of b' }, { info: 'of b' }] }); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('a filter on routes that are two-way already is refused with the reason, with and without --two-way, and they stay as they are', async () => {
  await using mesh = await Mesh.create(server, 'filtered', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  const before = await mesh.everywhere('select * from pgrep.route');
  for (const extra of [[], ['--two-way']]) {
    const refused = await mesh.pgrep('add-table', 'public.t', '--to', 'b', '--where', 'n > 0', ...extra);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/--where/);
    expect(refused.stderr).toMatch(/deleted at the other/);
  }
  expect(await mesh.everywhere('select * from pgrep.route')).toEqual(before);
});

const renamed = `${tableSql}; create schema r; create table r.t2 (number integer primary key, n integer, note text)`;
const view = { a: 'select id, n, info from public.t', b: 'select number as id, n, note as info from r.t2' };

/** A mesh of public.t at a and r.t2 at b, with a view of both under equal names. */
async function mapped(name: string, policy: object): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes: ['a', 'b'], sql: renamed });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'], as: { schema: 'r', name: 't2' }, map: { id: 'number', info: 'note' }, ...policy });
  for (const node of ['a', 'b'] as const) await mesh.sql(node, `create view public.rows as ${view[node]}`);
  return mesh;
}
const mappedRows = 'select id, n, info from public.rows order by id';

test('G6: between tables and columns of other names a conflict is recorded in the names of the node that keeps it, and restored from either', async () => {
  await using mesh = await mapped('conflict', {});
  const kept = "select nsp_name || '.' || table_name as of, local_row, remote_row from pgrep.conflict";
  // One link at a time: with both it depends on whose batch comes first which node finds it.
  const meet = async (from: string, at: string, key: number): Promise<void> => {
    await mesh.sql('a', 'update public.t set info = $1 where id = $2', ['a', key]);
    await mesh.sql('b', 'update r.t2 set note = $1 where number = $2', ['b', key]);
    await using link = await replaying(mesh, '--from', from);
    await waitFor(async () => (await mesh.sql(at, kept)).length > 0, { what: `${at} to find it` });
    expect(link.running).toBe(true);
  };
  await meet('b', 'a', 1);
  await meet('a', 'b', 2);
  expect(await mesh.sql('a', kept)).toEqual([{ of: 'public.t', local_row: { id: 1, n: 1, info: 'a' }, remote_row: { id: 1, n: 1, info: 'b' } }]); // prettier-ignore
  expect(await mesh.sql('b', kept)).toEqual([{ of: 'r.t2', local_row: { number: 2, n: 2, note: 'b' }, remote_row: { number: 2, n: 2, note: 'a' } }]); // prettier-ignore
  await using daemon = await replaying(mesh);
  expect((await sameEverywhere(mesh, mappedRows)).slice(0, 2).map(({ info }) => info)).toEqual(['b', 'b']);
  for (const [node, key] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    // prettier-ignore
    const [found] = await mesh.sql(node, `select id::text as id from pgrep.conflict where key = '{${key}}'`);
    const { code, stderr } = await mesh.pgrep('conflicts', 'restore', String(found?.['id']), '--node', node);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  }
  await waitFor(async () => (await sameEverywhere(mesh, mappedRows)).slice(0, 2).every(({ info }) => info === 'a'), { what: 'both restored rows at both nodes' }); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G5: between tables and columns of other names a policy function decides alike at both nodes, with the node its own row type', async () => {
  await using mesh = await mapped('merged', { policy: 'function', policyFunction: { schema: 'pgrep', name: 'merge_greatest' } }); // prettier-ignore
  await mesh.sql('a', "update public.t set n = 100, info = 'a' where id = 1");
  await mesh.sql('b', "update r.t2 set n = 50, note = 'z' where number = 1");
  await using daemon = await replaying(mesh);
  expect((await sameEverywhere(mesh, mappedRows))[0]).toEqual({ id: 1, n: 100, info: 'z' });
  expect(daemon.running).toBe(true);
});
