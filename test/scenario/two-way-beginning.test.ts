import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'beginning', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const rows = 'select id, n, info from public.t order by id';

test('G5: a full and an empty node become equal, and the first changes of either are no conflicts', async () => {
  await using mesh = await Mesh.create(server, 'empty', { nodes: ['full', 'empty'], sql: tableSql });
  await mesh.sql('full', fill);
  await mesh.add({ to: ['empty'] });
  expect((await mesh.sql('empty', rows)).length).toBe(20);
  await using daemon = await replaying(mesh);
  await mesh.sql('empty', "update public.t set info = 'empty' where id in (1, 2); delete from public.t where id = 3");
  await sameEverywhere(mesh);
  await mesh.sql('full', "update public.t set info = info || ', full' where id in (2, 4); insert into public.t values (3, 0, 'again')"); // prettier-ignore
  expect((await sameEverywhere(mesh, rows)).slice(0, 4)).toEqual([
    { id: 1, n: 1, info: 'empty' },
    { id: 2, n: 2, info: 'empty, full' },
    { id: 3, n: 0, info: 'again' },
    { id: 4, n: 4, info: 'row 4, full' },
  ]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

test('G5, G6: two nodes that are equal begin with --no-copy, and the first changes of either are no conflicts', async () => {
  await using mesh = await Mesh.create(server, 'equal', { nodes: ['a', 'b'], sql: `${tableSql}; ${fill}` });
  await mesh.add({ to: ['b'], copy: false });
  // Both before either hears of the other.
  await mesh.sql('a', "update public.t set info = 'a' where id = 1; delete from public.t where id = 3");
  await mesh.sql('b', "update public.t set info = 'b' where id = 2; delete from public.t where id = 4");
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  await mesh.sql('a', "update public.t set info = info || ' a' where id in (2, 5); delete from public.t where id = 6");
  await sameEverywhere(mesh);
  await mesh.sql('b', "update public.t set info = info || ' b' where id in (1, 5); insert into public.t values (6, 0, 'b')"); // prettier-ignore
  expect((await sameEverywhere(mesh, rows)).slice(0, 4)).toEqual([
    { id: 1, n: 1, info: 'a b' },
    { id: 2, n: 2, info: 'b a' },
    { id: 5, n: 5, info: 'row 5 a b' },
    { id: 6, n: 0, info: 'b' },
  ]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

test('G5, G6: with --merge rows of all nodes survive; a key that several hold is decided everywhere alike and recorded', async () => {
  await using mesh = await Mesh.create(server, 'merged', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', "insert into public.t values (1, 1, 'only a'), (10, 1, 'a'), (11, 1, 'same'), (12, 1, 'a')");
  await mesh.sql('b', "insert into public.t values (2, 1, 'only b'), (10, 1, 'b'), (11, 1, 'same'), (12, 1, 'b')");
  await mesh.sql('c', "insert into public.t values (3, 1, 'only c'), (10, 1, 'c'), (11, 1, 'same')");
  await mesh.add({ to: ['b', 'c'], merge: true });
  await using daemon = await replaying(mesh);
  const infos = (await sameEverywhere(mesh, rows)).map(({ id, info }) => [id, info]);
  // Rows that were never changed have the version of their node: the highest number decides.
  expect(infos).toEqual([
    [1, 'only a'],
    [2, 'only b'],
    [3, 'only c'],
    [10, 'c'],
    [11, 'same'],
    [12, 'b'],
  ]);
  const lost = await mesh.everywhere(
    `select distinct c.key[1] || ' ' || c.kind || ' ' || x.lost as line from pgrep.conflict c,
       lateral (select case c.verdict when 'local' then c.remote_row ->> 'info' else c.local_row ->> 'info' end as lost) x order by line`,
  );
  const lines = Object.values(lost).flatMap((found) => found.map(({ line }) => String(line)));
  expect([...new Set(lines)].sort()).toEqual(['10 insert/insert a', '10 insert/insert b', '12 insert/insert a']);
  // A change of a merged row is a change like any other.
  await mesh.sql('a', "update public.t set info = 'changed' where id in (10, 12)");
  await sameEverywhere(mesh, rows);
  expect(await mesh.sql('c', 'select info from public.t where id in (10, 12)')).toEqual([
    { info: 'changed' },
    { info: 'changed' },
  ]);
  expect(daemon.running).toBe(true);
});

test('G5: tables and columns of other names are kept equal in both directions, among three nodes', async () => {
  const other = 'create schema r; create table r.t2 (number integer primary key, n integer, note text, own text)';
  await using mesh = await Mesh.create(server, 'renamed', { nodes: ['a', 'b', 'c'], sql: `${tableSql}; ${other}` });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'], as: { schema: 'r', name: 't2' }, map: { id: 'number', info: 'note' } });
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "update r.t2 set note = 'b', own = 'mine' where number = 1; delete from r.t2 where number = 2; insert into r.t2 values (21, 0, 'b', 'mine')"); // prettier-ignore
  await mesh.sql('c', "update r.t2 set note = 'c' where number = 3; update r.t2 set number = 22 where number = 4");
  await mesh.sql('a', "update public.t set info = 'a' where id = 5; delete from public.t where id = 6");
  await sameThere(mesh);
  await mesh.sql('a', "update public.t set n = -1, info = info || ' a' where id in (1, 3)");
  await mesh.sql('c', "update r.t2 set note = note || ' c' where number in (5, 21)");
  await sameThere(mesh);
  const [one] = await mesh.sql('b', 'select n, note, own from r.t2 where number = 1');
  expect(one).toEqual({ n: -1, note: 'b a', own: 'mine' });
  expect(await mesh.sql('c', 'select note, own from r.t2 where number in (1, 21) order by number')).toEqual([
    { note: 'b a', own: null },
    { note: 'b c', own: null },
  ]);
  await mesh.sql('b', 'truncate r.t2');
  await sameThere(mesh);
  expect(await mesh.sql('a', rows)).toEqual([]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

/** Waits until the table has the same rows under its three names. */
async function sameThere(mesh: Mesh): Promise<void> {
  await mesh.sql('a', 'create or replace view public.rows as select id, n, info from public.t');
  for (const node of ['b', 'c']) await mesh.sql(node, 'create or replace view public.rows as select number as id, n, note as info from r.t2'); // prettier-ignore
  await sameEverywhere(mesh, 'select id, n, info from public.rows order by id');
}
