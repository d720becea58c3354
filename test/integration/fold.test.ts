import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { Mesh, tableSql } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'fold' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const twoTables = `${tableSql}; create table public.u (id integer primary key, n integer)`;
const entry = "select dead, (version & 255)::integer as node, (select count(*)::integer from pgrep.queue_2 q where q.from_node is not null) as again from pgrep.row_version_2"; // prettier-ignore

/** Node a with a row of `public.u` below its tombstone, and a transaction that has changed it and is open. */
async function belowTombstone(mesh: Mesh): Promise<pg.Client> {
  await mesh.add({ to: ['b'] });
  await mesh.add({ to: ['b'], table: { schema: 'public', name: 'u' } });
  // A delete of node b from a minute ahead of this node's clock.
  await mesh.sql('a', `insert into pgrep.row_version_2 (k1, version, xid, dead, inserted, barrier)
    values (5, ((extract(epoch from now()) * 1000000)::bigint + 60000000) << 8 | 2, 1, true, false, 0)`); // prettier-ignore
  await mesh.sql('a', "insert into public.t values (1, 1, ''); insert into public.u values (5, 1)");
  const open = new pg.Client({ connectionString: mesh.url('a') });
  await open.connect();
  await open.query('begin; update public.u set n = 2 where id = 5');
  return open;
}

test('a row below its tombstone gets a fresh version only while no open transaction changes it, and keeps the tombstone until then', async () => {
  await using mesh = await Mesh.create(server, 'open', { nodes: ['a', 'b'], sql: twoTables });
  const open = await belowTombstone(mesh);
  try {
    for (let turn = 1; turn <= 3; turn += 1) await mesh.sql('a', 'select pgrep.fold_2(1); select pgrep.prune_2()');
    expect(await mesh.sql('a', entry)).toEqual([{ dead: true, node: 2, again: 0 }]);
    await open.query('commit');
  } finally {
    await open.end();
  }
  await mesh.sql('a', 'select pgrep.fold_2(1)');
  expect(await mesh.sql('a', entry)).toEqual([{ dead: false, node: 1, again: 1 }]);
});

test('a row that waits for its version is folded later also when the fold shares its transaction with others', async () => {
  await using mesh = await Mesh.create(server, 'shared', { nodes: ['a', 'b'], sql: twoTables });
  const open = await belowTombstone(mesh);
  const folding = new pg.Client({ connectionString: mesh.url('a') });
  await folding.connect();
  try {
    await folding.query('begin; select pgrep.fold_1(1)');
    // Another transaction ends in between: what the fold's transaction writes is below the snapshot's end then.
    await mesh.sql('b', 'create table public.other (i integer)');
    await folding.query('select pgrep.fold_2(1); commit');
    await open.query('rollback');
  } finally {
    await open.end();
    await folding.end();
  }
  await mesh.sql('a', 'select pgrep.fold_2(1)');
  expect(await mesh.sql('a', entry)).toEqual([{ dead: false, node: 1, again: 1 }]);
});

test('a snapshot takes further transactions as open, in order', async () => {
  const client = new pg.Client({ connectionString: await server.createDatabase('snapshots') });
  await client.connect();
  try {
    await client.query('set check_function_bodies = off; create schema pgrep');
    await client.query(readFileSync('sql/routines/with_open.sql', 'utf8'));
    const given = async (snapshot: string, xids: string | null): Promise<string | undefined> =>
      (await client.query<{ s: string }>('select pgrep.with_open($1, $2)::text as s', [snapshot, xids])).rows[0]?.s;
    expect(await given('10:20:12', null)).toBe('10:20:12');
    expect(await given('10:20:12', '{5,100,15}')).toBe('5:20:5,12,15');
    expect(await given('20:20:', '{20}')).toBe('20:20:');
    expect(await given('20:20:', '{19,19}')).toBe('19:20:19');
  } finally {
    await client.end();
  }
});
