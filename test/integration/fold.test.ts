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

const entries = 'select k1 as id, (version >> 8 = (select max(q.version >> 8) from pgrep.queue_1 q)) as newest, inserted, dead from pgrep.row_version_1 order by 1'; // prettier-ignore

test('of a key that has changed since, the older change is not folded, unless it would be forgotten that the row was inserted', async () => {
  await using mesh = await Mesh.create(server, 'later', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  const prune = async (): Promise<unknown> => await mesh.sql('a', 'select pgrep.prune_1()');
  await prune();
  await mesh.sql('a', "insert into public.t values (1, 1, ''), (2, 1, '')");
  await prune();
  await mesh.sql('a', 'update public.t set n = 2 where id = 1');
  await prune();
  expect(await mesh.sql('a', entries)).toEqual([{ id: 1, newest: true, inserted: true, dead: false }, { id: 2, newest: false, inserted: true, dead: false }]); // prettier-ignore
  // Both versions of key 2 from here on are updates: only the last one gets an entry, and only when it has been there at one look.
  await mesh.sql('a', 'update public.t set n = 3 where id = 2');
  await prune();
  await mesh.sql('a', 'update public.t set n = 4 where id = 2');
  await prune();
  expect((await mesh.sql('a', entries))[1]).toEqual({ id: 2, newest: false, inserted: true, dead: false });
  await prune();
  expect((await mesh.sql('a', entries))[1]).toEqual({ id: 2, newest: true, inserted: false, dead: false });
});

/** Nothing is being copied any more, and node b says that it has seen all that node a has written so far, and will write in the next thousand transactions. */
const toldAll = `delete from pgrep.table_position; delete from pgrep.peer_copying; update pgrep.link_state set confirmed_in = (select life from pgrep.versioned_table where table_id = 1);
  insert into pgrep.peer_seen (peer, origin, snapshot) select 2, 1, format('%s:%s:', x, x)::pg_snapshot from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000 as x) s
  on conflict (peer, origin, way) do update set snapshot = excluded.snapshot`;

test('what all peers have seen is folded without an entry, but not a row that needs a version of its own, nor one with an entry or held', async () => {
  await using mesh = await Mesh.create(server, 'seen', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  await mesh.sql('a', "insert into pgrep.link_state (target) values ('b') on conflict do nothing");
  await mesh.sql('a', toldAll);
  const fold = 'select pgrep.fold_1(1)::integer as keys';
  await mesh.sql('a', "insert into public.t select i, i, '' from generate_series(1, 10) i; update public.t set n = 0 where id = 5"); // prettier-ignore
  expect(await mesh.sql('a', fold)).toEqual([{ keys: 11 }]);
  expect(await mesh.sql('a', fold)).toEqual([{ keys: 0 }]);
  expect(await mesh.sql('a', entries)).toEqual([]);
  await mesh.sql('a', 'truncate public.t');
  await mesh.sql('a', fold);
  expect(await mesh.sql('a', 'select from pgrep.versioned_table v join pgrep.queue_1 q on q.truncated and q.version = v.floor_version')).toHaveLength(1); // prettier-ignore
  // A TRUNCATE of b from a minute ahead: the row was inserted while it arrived.
  await mesh.sql('a', "insert into public.t values (11, 1, '')");
  await mesh.sql('a', 'update pgrep.versioned_table set floor_version = ((extract(epoch from now()) * 1000000)::bigint + 60000000) << 8 | 2, floor_xid = 1'); // prettier-ignore
  await mesh.sql('a', fold);
  expect(await mesh.sql('a', "select k1 as id, version > (select floor_version from pgrep.versioned_table) as above from pgrep.row_version_1")).toEqual([{ id: 11, above: true }]); // prettier-ignore
  // What has an entry keeps it in step.
  await mesh.sql('a', 'update public.t set n = 2 where id = 11');
  await mesh.sql('a', fold);
  expect(await mesh.sql('a', "select count(*)::integer as n from pgrep.row_version_1 where version = (select max(version) from pgrep.queue_1)")).toEqual([{ n: 1 }]); // prettier-ignore
  // And a held key needs its version later.
  await mesh.sql('a', 'delete from pgrep.row_version_1');
  await mesh.sql('a', `insert into pgrep.sync_err_rec (nsp_name, table_name, dst_server, dst_query, route_id, key, reason, message)
    select 'public', 't', 'b', '', route_id, '{7}', '23514', '' from pgrep.route where table_id = 1`); // prettier-ignore
  await mesh.sql('a', "insert into public.t values (7, 3, ''), (8, 3, '')");
  await mesh.sql('a', fold);
  expect((await mesh.sql('a', entries)).map(({ id }) => id)).toEqual([7]);
});

test.each([
  ['some peer has not seen', false],
  ['all peers have seen', true],
])(
  'a key of which an older change comes to the queue after a newer one that %s keeps the newer version',
  async (_, seen) => {
    await using mesh = await Mesh.create(server, `older_${String(seen)}`, { nodes: ['a', 'b'], sql: tableSql });
    await mesh.add({ to: ['b'] });
    await mesh.sql('a', "insert into pgrep.link_state (target) values ('b') on conflict do nothing");
    await mesh.sql('a', "insert into public.t values (1, 1, '')");
    await mesh.sql('a', 'select pgrep.prune_1(); delete from pgrep.row_version_1');
    await mesh.sql('a', 'update public.t set n = 2');
    if (seen) await mesh.sql('a', toldAll.replace('+ 1000', ''));
    await mesh.sql('a', 'select pgrep.prune_1()');
    // As that of a row under a deferred constraint, or of a key that mending queues, may.
    await mesh.sql(
      'a',
      "insert into pgrep.queue_1 (version, k1) select max(q.version) - 256000, '{1}' from pgrep.queue_1 q",
    );
    await mesh.sql('a', 'select pgrep.prune_1()');
    const kept =
      'select count(*)::integer as n from pgrep.row_version_1 where version = (select max(version) from pgrep.queue_1)';
    expect(await mesh.sql('a', kept)).toEqual([{ n: 1 }]);
  },
);

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
