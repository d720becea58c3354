import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { replaying, sameEverywhere } from '../scenario/all-nodes.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { fill, Mesh, tableSql } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'tombstones', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const rows = 'select id, info from public.t where id in (1, 2, 30) order by id';

/** What `from` has written comes to `to`, where `query` then finds `count` rows. */
async function hop(mesh: Mesh, [from, to]: readonly [string, string], query: string, count: number): Promise<void> {
  await using daemon = await replaying(mesh, '--from', from, '--to', to);
  await waitFor(async () => (await mesh.sql(to, query)).length === count, { what: `the changes of ${from} at ${to}` });
  expect(daemon.running).toBe(true);
}

test('G5: a delete stands against an older update or insert that arrives later from a third node', async () => {
  await using mesh = await Mesh.create(server, 'later', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'] });
  await mesh.sql('b', "update public.t set info = 'older' where id in (1, 2); insert into public.t values (30, 0, 'older')"); // prettier-ignore
  // Key 30 was inserted at both.
  await mesh.sql('c', "insert into public.t values (30, 0, 'c'); delete from public.t where id in (1, 30)");
  await hop(mesh, ['c', 'a'], 'select from public.t where id = 1', 0);
  expect(await mesh.sql('a', 'select k1 as id, dead from pgrep.row_version_1 order by 1')).toEqual([{ id: 1, dead: true }, { id: 30, dead: true }]); // prettier-ignore
  await hop(mesh, ['b', 'a'], "select from public.t where info = 'older'", 1);
  expect(await mesh.sql('a', rows)).toEqual([{ id: 2, info: 'older' }]);
  await using daemon = await replaying(mesh);
  expect(await sameEverywhere(mesh, rows)).toEqual([{ id: 2, info: 'older' }]);
  expect(daemon.running).toBe(true);
});

test('G5: a tombstone stays while a transaction is open that began before it, and the row that this inserted stands everywhere', async () => {
  await using mesh = await Mesh.create(server, 'open', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  {
    await using first = await replaying(mesh);
    for (const node of mesh.nodes) await mesh.sql(node, `insert into public.t values (${node === 'a' ? 1 : 2}, 0, 'first')`); // prettier-ignore
    await sameEverywhere(mesh);
    expect(first.running).toBe(true);
  }
  const open = new pg.Client({ connectionString: mesh.url('a') });
  await open.connect();
  try {
    await open.query("begin; insert into public.t values (5, 0, 'of a')");
    await mesh.sql('b', "insert into public.t values (5, 0, 'of b'), (6, 0, 'of b')");
    await mesh.sql('b', 'delete from public.t where id > 2');
    await mesh.sql('b', "insert into public.t values (7, 0, 'arrived')");
    await using daemon = await replaying(mesh);
    await waitFor(async () => (await mesh.sql('a', 'select from public.t where id = 7')).length === 1, { what: 'what b wrote at a' }); // prettier-ignore
    // All that anybody has is seen by all: only the open transaction can still need it.
    for (let turn = 0; turn < 3; turn += 1) await mesh.sql('a', 'select pgrep.prune_1()');
    const dead = 'select k1 as id from pgrep.row_version_1 where dead order by 1';
    expect(await mesh.sql('a', dead)).toEqual([{ id: 5 }, { id: 6 }]);
    await open.query('commit');
    const all = 'select id, info from public.t where id > 2 order by id';
    expect(await sameEverywhere(mesh, all)).toEqual([{ id: 5, info: 'of a' }, { id: 7, info: 'arrived' }]); // prettier-ignore
    await waitFor(async () => Object.values(await mesh.everywhere('select from pgrep.row_version_1')).every((found) => found.length === 0), { what: 'versions to be forgotten', deadlineMs: 30_000 }); // prettier-ignore
    expect(daemon.running).toBe(true);
  } finally {
    await open.end();
  }
});

test('folding and pruning are off the path of the application: its transactions write no versions, and neither waits for the other', async () => {
  await using mesh = await Mesh.create(server, 'path', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'] });
  const changes = "update public.t set info = 'x' where id <= 5; delete from public.t where id = 6; insert into public.t values (30, 0, 'x')"; // prettier-ignore
  await mesh.sql('a', changes);
  expect(await mesh.sql('a', 'select from pgrep.row_version_1')).toEqual([]);
  const [folding, writing] = [0, 1].map(() => new pg.Client({ connectionString: mesh.url('a'), lock_timeout: 100 })); // prettier-ignore
  if (folding === undefined || writing === undefined) throw new Error('two sessions are needed');
  await Promise.all([folding.connect(), writing.connect()]);
  try {
    // A fold that is not committed locks out nobody who changes the same rows, nor a TRUNCATE of the table.
    await folding.query('begin; select pgrep.fold_1(1); select pgrep.prune_1()');
    expect((await folding.query('select k1 from pgrep.row_version_1')).rowCount).toBe(7);
    await writing.query("begin; update public.t set info = 'y' where id <= 5; insert into public.t values (6, 0, 'y'); delete from public.t where id = 30"); // prettier-ignore
    await folding.query('commit');
    // And what is open holds up no fold.
    await folding.query('select pgrep.fold_1(1); select pgrep.prune_1()');
    await writing.query('commit');
  } finally {
    await Promise.all([folding.end(), writing.end()]);
  }
  await using daemon = await replaying(mesh);
  const found = (await sameEverywhere(mesh, 'select id, info from public.t where id <= 6 or id = 30 order by id')).map(({ info }) => info); // prettier-ignore
  expect(found).toEqual(['y', 'y', 'y', 'y', 'y', 'y']);
  expect(daemon.running).toBe(true);
});
