import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'functions', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const greatest = { policy: 'function' as const, policyFunction: { schema: 'pgrep', name: 'merge_greatest' } };
const rows = 'select id, n, info from public.t order by id';

async function merging(name: string, nodes: readonly string[], sql = tableSql): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes, sql });
  await mesh.sql('a', fill);
  await mesh.add({ to: nodes.slice(1), ...greatest });
  return mesh;
}

test('G5, G6: with the policy function, of a delete and a change the later stands, equal rows are agreement, and a merged row is recorded as such', async () => {
  await using mesh = await merging('deletes', ['a', 'b', 'c']);
  await mesh.sql('a', "update public.t set info = 'a' where id = 1; delete from public.t where id = 2; update public.t set info = 'same' where id = 3; update public.t set n = 100, info = 'a' where id = 4; insert into public.t values (30, 9, 'a')"); // prettier-ignore
  await mesh.sql('b', "delete from public.t where id = 1; update public.t set info = 'b' where id = 2; update public.t set info = 'same' where id = 3; update public.t set n = 50, info = 'b' where id = 4; insert into public.t values (30, 1, 'b')"); // prettier-ignore
  await using daemon = await replaying(mesh);
  const found = (await sameEverywhere(mesh, rows)).filter(({ id }) => Number(id) <= 4 || id === 30);
  expect(found).toEqual([
    { id: 2, n: 2, info: 'b' },
    { id: 3, n: 3, info: 'same' },
    { id: 4, n: 100, info: 'b' },
    { id: 30, n: 9, info: 'b' },
  ]);
  const lines = await mesh.everywhere("select distinct key[1] || ' ' || policy || ' ' || case when verdict = 'merged' then 'merged' else 'one stands' end as line from pgrep.conflict"); // prettier-ignore
  const all = new Set(Object.values(lines).flatMap((each) => each.map(({ line }) => line)));
  expect([...all].toSorted()).toEqual(['1 function one stands', '2 function one stands', '30 function merged', '4 function merged']); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G6: a merged row that the table refuses is held with the reason, both rows stay, others pass, and a later write decides', async () => {
  const checked = `${tableSql}; alter table public.t add constraint few check (n < 100 or info < 'm')`;
  await using mesh = await merging('refused', ['a', 'b'], checked);
  // Each row is good by itself, the greatest of both columns is not.
  await mesh.sql('a', "update public.t set n = 500, info = 'a' where id = 1");
  await mesh.sql('b', "update public.t set n = 1, info = 'z' where id = 1; update public.t set n = -1 where id = 2");
  await using daemon = await replaying(mesh);
  const held = "select reason from pgrep.sync_err_rec where key = '{1}'";
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every((each) => each.length === 1), { what: 'both to hold the row' }); // prettier-ignore
  expect(await mesh.everywhere(held)).toEqual({ a: [{ reason: '23514' }], b: [{ reason: '23514' }] });
  await waitFor(async () => (await mesh.sql('a', 'select from public.t where id = 2 and n = -1')).length === 1, { what: 'another row to pass' }); // prettier-ignore
  expect(await mesh.everywhere('select n, info from public.t where id = 1')).toEqual({ a: [{ n: 500, info: 'a' }], b: [{ n: 1, info: 'z' }] }); // prettier-ignore
  await mesh.sql('a', "update public.t set n = 2, info = 'zz' where id = 1");
  await waitFor(async () => (await mesh.pgrep('retry-errors'), Object.values(await mesh.everywhere(held)).every((each) => each.length === 0)), { what: 'nothing to be held', deadlineMs: 60_000, everyMs: 500 }); // prettier-ignore
  expect((await sameEverywhere(mesh, rows))[0]).toEqual({ id: 1, n: 2, info: 'zz' });
  expect(daemon.running).toBe(true);
});

const hasRows = "insert into public.t values (10, 1, 'a'), (11, 1, 'same')";

test('G5, G6: --merge with the policy function makes one row of both', async () => {
  await using mesh = await Mesh.create(server, 'joined', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', `${hasRows}, (1, 1, 'only a')`);
  await mesh.sql('b', "insert into public.t values (10, 0, 'z'), (11, 1, 'same'), (2, 1, 'only b')");
  const { code } = await mesh.pgrep('add-table', 'public.t', '--to', 'b', '--two-way', '--merge', '--policy', 'function', '--policy-function', 'pgrep.merge_greatest'); // prettier-ignore
  expect(code).toBe(0);
  await using daemon = await replaying(mesh);
  expect(await sameEverywhere(mesh, rows)).toEqual([
    { id: 1, n: 1, info: 'only a' },
    { id: 2, n: 1, info: 'only b' },
    { id: 10, n: 1, info: 'z' },
    { id: 11, n: 1, info: 'same' },
  ]);
  const kept = Object.values(await mesh.everywhere('select distinct key[1] as key, kind from pgrep.conflict')).flat();
  expect(new Set(kept.map(({ key, kind }) => `${String(key)} ${String(kind)}`))).toEqual(new Set(['10 insert/insert']));
  expect(daemon.running).toBe(true);
});

test('G5, G6: --merge with the policy hold holds a key that both nodes have with other values until somebody decides', async () => {
  await using mesh = await Mesh.create(server, 'joined_held', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', `${hasRows}, (1, 1, 'only a')`);
  await mesh.sql('b', "insert into public.t values (10, 0, 'z'), (11, 1, 'same'), (2, 1, 'only b')");
  expect((await mesh.pgrep('add-table', 'public.t', '--to', 'b', '--two-way', '--merge', '--policy', 'hold')).code).toBe(0); // prettier-ignore
  await using daemon = await replaying(mesh);
  const others = 'select id, info from public.t where id <> 10 order by id';
  expect((await sameEverywhere(mesh, others, { to: null })).map(({ id }) => id)).toEqual([1, 2, 11]);
  const ten = 'select info from public.t where id = 10';
  expect(await mesh.everywhere(ten)).toEqual({ a: [{ info: 'a' }], b: [{ info: 'z' }] });
  const kept = Object.values(await mesh.everywhere('select distinct key[1] as key, kind, verdict from pgrep.conflict')).flat(); // prettier-ignore
  expect(kept).toContainEqual({ key: '10', kind: 'insert/insert', verdict: 'held' });
  await mesh.sql('b', "update public.t set info = 'decided' where id = 10");
  const held = 'select from pgrep.sync_err_rec';
  await waitFor(async () => (await mesh.pgrep('retry-errors'), Object.values(await mesh.everywhere(held)).every((each) => each.length === 0)), { what: 'nothing to be held', deadlineMs: 60_000, everyMs: 500 }); // prettier-ignore
  expect(await sameEverywhere(mesh, ten)).toEqual([{ info: 'decided' }]);
  expect(daemon.running).toBe(true);
});

test('G6: --no-copy by the command: nodes that are equal begin without a conflict', async () => {
  await using mesh = await Mesh.create(server, 'equal', { nodes: ['a', 'b'], sql: `${tableSql}; ${fill}` });
  expect((await mesh.pgrep('add-table', 'public.t', '--to', 'b', '--two-way', '--no-copy')).code).toBe(0);
  await using daemon = await replaying(mesh);
  await mesh.sql('a', "update public.t set info = 'a' where id = 1");
  await mesh.sql('b', "update public.t set info = 'b' where id = 2");
  await sameEverywhere(mesh);
  await mesh.sql('b', "update public.t set info = info || ' b' where id = 1");
  expect((await sameEverywhere(mesh, rows)).slice(0, 2).map(({ info }) => info)).toEqual(['a b', 'b']);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});
