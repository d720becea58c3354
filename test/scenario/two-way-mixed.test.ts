import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'mixed', settings: { max_prepared_transactions: 0, max_connections: 400 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const sql = `${tableSql}; create table public.other (id integer primary key)`;
const other = { table: { schema: 'public', name: 'other' } };

/** Waits until node a has looked three times for versions to forget. */
async function looksAtA(mesh: Mesh): Promise<void> {
  const looked = async (): Promise<unknown> => (await mesh.sql('a', 'select looked::text as at from pgrep.versioned_table where table_id = 1'))[0]?.['at']; // prettier-ignore
  for (const turn of [1, 2, 3]) {
    const before = await looked();
    await mesh.sql('a', 'select pg_current_xact_id()');
    await waitFor(async () => (await looked()) !== before, { what: `look ${turn} for versions to forget` });
  }
}

/** Changes rows of b and d at once while nothing goes from the hub to d, lets the hub look for versions to forget, and expects what is right in the end. */
async function expectFoundConflict(mesh: Mesh, other: { at: string; to: string }): Promise<void> {
  // All links but that from the hub to d.
  const others = mesh.nodes.filter((node) => node !== 'a').map((node) => replaying(mesh, '--from', node));
  const links = [...(await Promise.all(others)), await replaying(mesh, '--from', 'a', '--to', 'b')];
  try {
    await mesh.sql('b', "update public.t set info = 'of b'");
    await waitFor(async () => (await mesh.sql('a', "select from public.t where info = 'of b'")).length === 3, { what: 'the hub to have it' }); // prettier-ignore
    await mesh.sql(other.at, 'insert into public.other values (1)');
    await waitFor(async () => (await mesh.sql(other.to, 'select from public.other')).length === 1, { what: 'the other table to arrive' }); // prettier-ignore
    // Newer than that of b, of which d knows nothing.
    await mesh.sql('d', "update public.t set info = 'of d' where id = 1");
    await looksAtA(mesh);
    expect(links.every(({ running }) => running)).toBe(true);
    await using last = await replaying(mesh, '--from', 'a', '--to', 'd');
    const rows = await sameEverywhere(mesh, 'select id, info from public.t order by id', { nodes: ['a', 'b', 'd'] });
    expect(rows).toEqual([1, 2, 3].map((id) => ({ id, info: id === 1 ? 'of d' : 'of b' })));
    const lost =
      "select coalesce(local_row, remote_row) ->> 'id' as id, local_row ->> 'info' as local, remote_row ->> 'info' as remote from pgrep.conflict";
    const found = Object.values(await mesh.everywhere(lost)).flat();
    expect(found.some(({ id, local, remote }) => id === '1' && [local, remote].includes('of b'))).toBe(true);
    expect(last.running).toBe(true);
  } finally {
    for (const each of links) await each[Symbol.asyncDispose]();
  }
}

test.concurrent.each([
  ['one way', false],
  ['both ways', true],
])(
  'G5, G6: leaves of a star that exchange another table %s have not seen by that what comes by way of the hub',
  async (title, twoWay) => {
    await using mesh = await Mesh.create(server, title.replace(' ', '_'), { nodes: ['a', 'b', 'd'], sql });
    await mesh.sql('a', "insert into public.t select i, 0, '' from generate_series(1, 3) i");
    await mesh.add({ to: ['b', 'd'], forward: true });
    await mesh.add({ ...other, from: 'b', to: ['d'], twoWay });
    {
      await using daemon = await replaying(mesh);
      await sameEverywhere(mesh, wholeTable);
      await waitFor(async () => (await mesh.sql('a', 'select from pgrep.row_version_1')).length === 0, { what: 'all to be quiet', deadlineMs: 40_000 }); // prettier-ignore
      expect(daemon.running).toBe(true);
    }
    await expectFoundConflict(mesh, { at: 'b', to: 'd' });
  },
);

const filled = `${sql}; insert into public.t select i, 0, '' from generate_series(1, 3) i`;

/** Lets the hub's link to d begin, and nothing go over it after that. */
async function beginToD(mesh: Mesh): Promise<void> {
  await using link = await replaying(mesh, '--from', 'a', '--to', 'd');
  await waitFor(async () => (await mesh.sql('d', "select from pgrep.table_position where source = 'a'")).length === 0, { what: 'd to join' }); // prettier-ignore
  expect(link.running).toBe(true);
}

test.concurrent('G5, G6: nor has a leaf that has not heard of the other one from the hub yet', async () => {
  await using mesh = await Mesh.create(server, 'unheard', { nodes: ['a', 'b', 'd'], sql: filled });
  await mesh.add({ to: ['b', 'd'], forward: true, copy: false });
  await mesh.add({ ...other, from: 'b', to: ['d'] });
  await beginToD(mesh);
  await expectFoundConflict(mesh, { at: 'b', to: 'd' });
});

test.concurrent('G5, G6: nor what comes by way of the hub of another table', async () => {
  await using mesh = await Mesh.create(server, 'hubs', { nodes: ['a', 'b', 'c', 'd'], sql: filled });
  await mesh.add({ to: ['b', 'd'], forward: true, copy: false });
  await mesh.add({ ...other, from: 'c', to: ['b', 'd'], forward: true });
  await beginToD(mesh);
  await expectFoundConflict(mesh, { at: 'b', to: 'd' });
});

test.concurrent(
  'a leaf that exchanges another table with the hub, too, has not seen by that what comes by way of the hub',
  async () => {
    await using mesh = await Mesh.create(server, 'both', { nodes: ['a', 'b', 'd'], sql: filled });
    await mesh.add({ to: ['b', 'd'], forward: true, copy: false });
    await mesh.add({ ...other, to: ['b', 'd'] });
    await beginToD(mesh);
    await expectFoundConflict(mesh, { at: 'b', to: 'd' });
  },
);

test.concurrent('versions of a table go also where another one is exchanged with fewer nodes', async () => {
  await using mesh = await Mesh.create(server, 'fewer', { nodes: ['a', 'b', 'd'], sql: filled });
  await mesh.add({ ...other, to: ['d'] });
  await mesh.add({ to: ['b', 'd'], copy: false });
  await using daemon = await replaying(mesh);
  await mesh.sql('b', "update public.t set info = 'of b'");
  await sameEverywhere(mesh, wholeTable);
  const ways = { a: 'd', b: '', d: 'a' };
  for (const [node, apart] of Object.entries(ways)) {
    // Between a and d it comes to others than the table that was there first.
    const query = `select n.name as peer from pgrep.peer_way w join pgrep.node n on n.node_id = w.peer join pgrep.captured_table t using (table_id) where t.table_name = 't'`;
    await waitFor(async () => (await mesh.sql(node, query)).map(({ peer }) => peer).join() === apart, { what: `${node} to hear of it` }); // prettier-ignore
    const sidecar = `pgrep.row_version_${node === 'b' ? 1 : 2}`;
    await waitFor(async () => (await mesh.sql(node, `select from ${sidecar}`)).length === 0, { what: `${node} to forget`, deadlineMs: 40_000 }); // prettier-ignore
  }
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});
