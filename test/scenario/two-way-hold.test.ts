import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'hold', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function holding(name: string, nodes: readonly string[]): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes, sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: nodes.slice(1), policy: 'hold' });
  return mesh;
}

const rows = 'select id, info from public.t order by id';
const held = 'select count(*)::integer as n from pgrep.sync_err_rec e';

/** Has everything that is held tried again until nothing is. */
async function untilNoneHeld(mesh: Mesh): Promise<void> {
  await waitFor(
    async () => {
      await mesh.pgrep('retry-errors');
      return Object.values(await mesh.everywhere(held)).every(([row]) => row?.['n'] === 0);
    },
    { what: 'nothing to be held', deadlineMs: 60_000, everyMs: 500 },
  );
}

test('G6: with the policy hold, rows inserted at two nodes stay as they are, equal ones are agreement, and others pass', async () => {
  await using mesh = await holding('inserted', ['a', 'b']);
  await mesh.sql('a', "insert into public.t values (30, 0, 'a'), (31, 0, 'same'), (32, 0, 'a')");
  await mesh.sql('b', "insert into public.t values (30, 0, 'b'), (31, 0, 'same'), (33, 0, 'b')");
  await using daemon = await replaying(mesh);
  const passed = 'select id from public.t where id in (32, 33)';
  await waitFor(async () => Object.values(await mesh.everywhere(passed)).every((found) => found.length === 2), { what: 'other rows to pass' }); // prettier-ignore
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every(([row]) => row?.['n'] === 1), { what: 'one row to be held at each' }); // prettier-ignore
  expect(await mesh.everywhere('select info from public.t where id = 30')).toEqual({ a: [{ info: 'a' }], b: [{ info: 'b' }] }); // prettier-ignore
  const kept = 'select distinct key[1] as key, kind, policy, verdict from pgrep.conflict';
  const one = [{ key: '30', kind: 'insert/insert', policy: 'hold', verdict: 'held' }];
  expect(await mesh.everywhere(kept)).toEqual({ a: one, b: one });
  expect(daemon.running).toBe(true);
});

test('G6: a held row that is decided at one node is let go at the other soon, however long its next attempt is away', async () => {
  await using mesh = await holding('decided', ['a', 'b']);
  for (const node of mesh.nodes) await mesh.sql(node, `update public.t set info = '${node}' where id = 1`);
  await using daemon = await replaying(mesh);
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every(([row]) => row?.['n'] === 1), { what: 'one row to be held at each' }); // prettier-ignore
  await mesh.everywhere("update pgrep.sync_err_rec set attempts = 10, next_time = now() + interval '1 hour'");
  await mesh.sql('a', "update public.t set info = 'decided' where id = 1");
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every(([row]) => row?.['n'] === 0), { what: 'nothing to be held', deadlineMs: 30_000 }); // prettier-ignore
  expect(await sameEverywhere(mesh, 'select info from public.t where id = 1')).toEqual([{ info: 'decided' }]);
  expect(daemon.running).toBe(true);
});

test('G6: a third node keeps its row beside a held one until somebody decides, whatever it could forget otherwise', async () => {
  await using mesh = await holding('third', ['a', 'b', 'c']);
  for (const node of ['a', 'b']) await mesh.sql(node, `update public.t set info = '${node}' where id = 1`);
  await using daemon = await replaying(mesh);
  const ofC = 'select info from public.t where id = 1';
  await waitFor(async () => (await mesh.sql('c', "select from pgrep.conflict where verdict = 'held'")).length > 0, { what: 'c to have met both' }); // prettier-ignore
  const kept = await mesh.sql('c', ofC);
  const looked = async (): Promise<unknown> => (await mesh.sql('c', 'select looked::text as at from pgrep.versioned_table'))[0]?.['at']; // prettier-ignore
  for (const turn of [1, 2, 3, 4]) {
    const before = await looked();
    await mesh.sql('c', 'select pg_current_xact_id()');
    await waitFor(async () => (await looked()) !== before, { what: `look ${turn} for versions to forget` });
    await mesh.pgrep('retry-errors');
  }
  await mesh.sql('b', "insert into public.t values (40, 0, 'passes')");
  await waitFor(async () => (await mesh.sql('c', 'select from public.t where id = 40')).length === 1, { what: 'another row to pass' }); // prettier-ignore
  expect(await mesh.sql('c', ofC)).toEqual(kept);
  await mesh.sql('a', "update public.t set info = 'decided' where id = 1");
  await untilNoneHeld(mesh);
  expect(await sameEverywhere(mesh, ofC)).toEqual([{ info: 'decided' }]);
  expect(daemon.running).toBe(true);
});

test('G6: a node that holds a row back beside its own has not seen it: what it sends itself is held, too, also at a third node, until it writes the key again', async () => {
  await using mesh = await holding('later', ['a', 'b', 'c']);
  for (const node of ['a', 'b']) await mesh.sql(node, `update public.t set info = '${node}' where id = 1`);
  const of1 = 'select info from public.t where id = 1';
  const conflicts = "select from pgrep.conflict where verdict = 'held'";
  {
    // Node b has met the row of a, and that is what it tells with its own, which is newer.
    await using first = await replaying(mesh, '--from', 'a');
    await waitFor(async () => (await mesh.sql('b', conflicts)).length > 0, { what: 'b to have met the row of a' });
    await waitFor(async () => (await mesh.sql('c', `${of1} and info = 'a'`)).length > 0, { what: 'the row of a at c' });
    expect(first.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "insert into public.t values (40, 0, 'passes')");
  await waitFor(async () => Object.values(await mesh.everywhere('select from public.t where id = 40')).every((found) => found.length === 1), { what: 'another row of b to pass' }); // prettier-ignore
  expect(await mesh.everywhere(of1)).toEqual({ a: [{ info: 'a' }], b: [{ info: 'b' }], c: [{ info: 'a' }] });
  expect(Object.values(await mesh.everywhere(conflicts)).map((found) => found.length)).toEqual([1, 1, 1]);
  await mesh.sql('b', "update public.t set info = 'decided' where id = 1");
  await untilNoneHeld(mesh);
  expect(await sameEverywhere(mesh, of1)).toEqual([{ info: 'decided' }]);
  expect(daemon.running).toBe(true);
});

test('G6: a hub that holds a row back beside one that it passes on has not seen it: that is held at its own node, too, until the hub decides', async () => {
  await using mesh = await Mesh.create(server, 'hub', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'], policy: 'hold', forward: true });
  // The later one comes to the hub first.
  for (const node of ['c', 'b']) await mesh.sql(node, `update public.t set info = '${node}' where id = 1`);
  const of1 = 'select info from public.t where id = 1';
  const conflicts = "select from pgrep.conflict where verdict = 'held'";
  for (const [from, found] of [
    ['b', `${of1} and info = 'b'`],
    ['c', conflicts],
  ] as const) {
    await using first = await replaying(mesh, '--from', from);
    await waitFor(async () => (await mesh.sql('a', found)).length > 0, { what: `the row of ${from} at the hub` });
    expect(first.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "insert into public.t values (40, 0, 'passes')");
  await waitFor(async () => (await mesh.sql('c', 'select from public.t where id = 40')).length > 0, { what: 'another row of b to pass' }); // prettier-ignore
  expect(await mesh.everywhere(of1)).toEqual({ a: [{ info: 'b' }], b: [{ info: 'b' }], c: [{ info: 'c' }] });
  expect(await mesh.sql('c', conflicts)).toHaveLength(1);
  await mesh.sql('a', "update public.t set info = 'decided' where id = 1");
  await untilNoneHeld(mesh);
  expect(await sameEverywhere(mesh, of1)).toEqual([{ info: 'decided' }]);
  expect(daemon.running).toBe(true);
});

test('G6: a row that was held for another row’s second unique value is held beside one of its own key, too, which decides nothing', async () => {
  await using mesh = await Mesh.create(server, 'unique', { nodes: ['a', 'b'], sql: `${tableSql}; alter table public.t add unique (info)` }); // prettier-ignore
  await mesh.add({ to: ['b'], policy: 'hold' });
  const reasons = 'select reason from pgrep.sync_err_rec';
  await mesh.sql('b', "insert into public.t values (30, 0, 'taken')");
  await mesh.sql('a', "insert into public.t values (31, 0, 'taken')");
  {
    await using first = await replaying(mesh, '--from', 'a');
    await waitFor(async () => (await mesh.sql('a', reasons)).length > 0, { what: 'the row of a to be refused at b' });
    await mesh.sql('b', "insert into public.t values (31, 0, 'free')");
    await mesh.pgrep('retry-errors', '--from', 'a');
    await waitFor(async () => (await mesh.sql('a', `${reasons} where reason <> '23505'`)).length > 0, { what: 'the row of a to meet that of b' }); // prettier-ignore
    expect(first.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "insert into public.t values (40, 0, 'passes')");
  await waitFor(async () => (await mesh.sql('a', 'select from public.t where id = 40')).length > 0, { what: 'another row of b to pass' }); // prettier-ignore
  expect(await mesh.everywhere('select info from public.t where id = 31')).toEqual({ a: [{ info: 'taken' }], b: [{ info: 'free' }] }); // prettier-ignore
  expect(await mesh.everywhere("select distinct kind from pgrep.conflict where key = '{31}' and kind <> 'unique'")).toEqual({ a: [{ kind: 'insert/insert' }], b: [{ kind: 'insert/insert' }] }); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G5, G6: a row that all of three nodes hold apart is decided by one write, at any of them, and nothing is held afterwards', async () => {
  await using mesh = await holding('three', ['a', 'b', 'c']);
  for (const node of mesh.nodes) await mesh.sql(node, `update public.t set info = '${node}' where id in (1, 2)`);
  await using daemon = await replaying(mesh);
  await waitFor(async () => Object.values(await mesh.everywhere("select 1 from pgrep.conflict where verdict = 'held' and key = '{1}'")).every((found) => found.length >= 1), { what: 'all nodes to hold' }); // prettier-ignore
  await mesh.sql('a', "insert into public.t values (40, 0, 'passes')");
  await waitFor(async () => Object.values(await mesh.everywhere('select from public.t where id = 40')).every((found) => found.length === 1), { what: 'another row to pass' }); // prettier-ignore
  expect(await mesh.everywhere('select info from public.t where id = 1')).toEqual({ a: [{ info: 'a' }], b: [{ info: 'b' }], c: [{ info: 'c' }] }); // prettier-ignore
  // Every other node sees this, and what it had itself is what the deciding node had seen or is held against still.
  await waitFor(async () => (await mesh.sql('a', "select from pgrep.conflict where verdict = 'held' and key = '{1}'")).length === 2, { what: 'a to have met both others' }); // prettier-ignore
  await mesh.sql('a', "update public.t set info = 'decided' where id = 1");
  await mesh.sql('c', 'delete from public.t where id = 2');
  await untilNoneHeld(mesh);
  expect(await sameEverywhere(mesh, 'select id, info from public.t where id <= 2')).toEqual([{ id: 1, info: 'decided' }]); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G5, G6: with the policy hold a TRUNCATE is not held: the later of it and a concurrent write stands, and the loser is recorded', async () => {
  await using mesh = await holding('emptied', ['a', 'b']);
  await mesh.sql(
    'a',
    "update public.t set info = 'before' where id = 1; insert into public.t values (30, 0, 'before')",
  );
  await mesh.sql('b', 'truncate public.t');
  await mesh.sql('a', "update public.t set info = 'after' where id = 2; insert into public.t values (31, 0, 'after')");
  await using daemon = await replaying(mesh);
  await untilNoneHeld(mesh);
  expect(await sameEverywhere(mesh, rows)).toEqual([
    { id: 2, info: 'after' },
    { id: 31, info: 'after' },
  ]);
  const lost = await mesh.everywhere("select key[1] as key from pgrep.conflict where kind = 'truncate/write' and (local_row ->> 'info' = 'before' or remote_row ->> 'info' = 'before')"); // prettier-ignore
  expect([...new Set(Object.values(lost).flatMap((found) => found.map(({ key }) => key)))].toSorted()).toEqual(['1', '30']); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G6: tables of one link are each decided by the policy of their own routes', async () => {
  const other = 'create table public.wins (like public.t including all)';
  await using mesh = await Mesh.create(server, 'own', { nodes: ['a', 'b'], sql: `${tableSql}; ${other}` });
  await mesh.sql('a', `${fill}; insert into public.wins select * from public.t`);
  await mesh.add({ to: ['b'], policy: 'hold' });
  await mesh.add({ table: { schema: 'public', name: 'wins' }, to: ['b'] });
  for (const node of mesh.nodes) await mesh.sql(node, `update public.t set info = '${node}' where id = 1; update public.wins set info = '${node}' where id = 1`); // prettier-ignore
  await using daemon = await replaying(mesh);
  expect(await sameEverywhere(mesh, 'select info from public.wins where id = 1', { to: null })).toEqual([{ info: 'b' }]); // prettier-ignore
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every(([row]) => row?.['n'] === 1), { what: 'the row of t to be held at both' }); // prettier-ignore
  const kept = await mesh.everywhere(
    'select distinct table_name, policy, verdict from pgrep.conflict order by table_name',
  );
  expect(kept['b']).toEqual([
    { table_name: 't', policy: 'hold', verdict: 'held' },
    { table_name: 'wins', policy: 'last-write-wins', verdict: 'local' },
  ]);
  expect(await mesh.everywhere('select info from public.t where id = 1')).toEqual({ a: [{ info: 'a' }], b: [{ info: 'b' }] }); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G6: changes that follow each other are never held', async () => {
  await using mesh = await holding('order', ['a', 'b']);
  await using daemon = await replaying(mesh);
  for (const [turn, node] of ['a', 'b', 'a', 'b'].entries()) {
    await mesh.sql(node, `update public.t set info = info || '${node}' where id <= 3; ${turn % 2 === 0 ? 'delete from public.t where id = 4' : "insert into public.t values (4, 0, 'again')"}`); // prettier-ignore
    await sameEverywhere(mesh, rows);
  }
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});
