import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import type { PgrepProcess } from '../support/daemon.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

const index = 'two_way_beside';
let server: PostgresServer;
let elasticsearch: string;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'beside', settings: { max_prepared_transactions: 0 } });
  elasticsearch = (await sharedElasticsearch()).url;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await fetch(`${elasticsearch}/${index}`, { method: 'DELETE' });
});

/** The index's documents in the order of ids, as rows of `public.t`. */
async function documents(): Promise<readonly unknown[]> {
  await fetch(`${elasticsearch}/${index}/_refresh`, { method: 'POST' });
  const answer = await fetch(`${elasticsearch}/${index}/_search?size=1000&sort=id:asc`);
  const { hits } = (await answer.json()) as { hits: { hits: readonly { _source: unknown }[] } };
  return hits.hits.map(({ _source }) => _source);
}

/** Waits until all nodes hold the same rows, and the index those of b. */
async function indexed(mesh: Mesh, daemon: PgrepProcess): Promise<void> {
  const nodes = mesh.nodes;
  await sameEverywhere(mesh, wholeTable, { nodes });
  const rows = JSON.stringify(await mesh.sql('b', 'select id, n, info from public.t order by id'));
  await waitFor(async () => JSON.stringify(await documents()) === rows, { what: `documents ${rows.slice(0, 500)}` });
  expect(daemon.running).toBe(true);
}

async function beside(name: string, options: { sql?: string; add?: object } = {}): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes: ['a', 'b', 'c'], sql: options.sql ?? tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'], ...options.add });
  mesh.configure({ es: elasticsearch });
  await mesh.add({ from: 'b', to: ['es'], index, twoWay: false });
  return mesh;
}

test('G2: the node that owns an index also indexes what arrives from its peers: inserts, updates, deletes, changed keys, TRUNCATE', async () => {
  await using mesh = await beside('all_kinds');
  await using daemon = await replaying(mesh);
  await indexed(mesh, daemon);
  await mesh.sql('a', "insert into public.t values (31, 0, 'a'); update public.t set info = 'a' where id = 1; delete from public.t where id = 2; update public.t set id = 33 where id = 3"); // prettier-ignore
  await mesh.sql('c', "insert into public.t values (32, 0, 'c'); update public.t set info = 'c' where id = 4; delete from public.t where id = 5"); // prettier-ignore
  await mesh.sql('b', "insert into public.t values (34, 0, 'b'); delete from public.t where id = 6");
  await indexed(mesh, daemon);
  await mesh.sql('a', 'truncate public.t');
  await indexed(mesh, daemon);
  await mesh.sql('c', "insert into public.t values (1, 0, 'after')");
  await indexed(mesh, daemon);
  expect(await documents()).toEqual([{ id: 1, n: 0, info: 'after' }]);
});

test('G5: of concurrent changes the index gets the winner', async () => {
  await using mesh = await beside('winners');
  await mesh.sql('a', "update public.t set info = 'a' where id in (1, 2); update public.t set n = -1 where id = 3");
  await mesh.sql('b', "update public.t set info = 'b' where id in (1, 2); delete from public.t where id = 3");
  await mesh.sql('c', "update public.t set info = 'c' where id = 2");
  await using daemon = await replaying(mesh);
  await indexed(mesh, daemon);
  expect((await documents()).slice(0, 3)).toEqual([
    { id: 1, n: 1, info: 'b' },
    { id: 2, n: 2, info: 'c' },
    { id: 4, n: 4, info: 'row 4' },
  ]);
});

test('G5: a row that the policy function made of concurrent ones is indexed', async () => {
  const sql = `${tableSql}; create function public.most(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql immutable as $$
    select row(a.id, greatest(a.n, b.n), greatest(a.info, b.info))::public.t $$`;
  const add = { policy: 'function', policyFunction: { schema: 'public', name: 'most' } };
  await using mesh = await beside('made', { sql, add });
  await mesh.sql('a', "update public.t set n = 100, info = 'x' where id = 1");
  await mesh.sql('c', "update public.t set n = 50, info = 'z' where id = 1");
  {
    // One of the two is in the index before the owner hears of the other.
    await using one = mesh.spawn('run', '--from', 'a', '--to', 'b');
    await using other = mesh.spawn('run', '--from', 'b', '--to', 'es');
    await waitFor(async () => JSON.stringify((await documents())[0]) === '{"id":1,"n":100,"info":"x"}', { what: 'the row of a in the index' }); // prettier-ignore
    expect([one.running, other.running]).toEqual([true, true]);
  }
  await using daemon = await replaying(mesh);
  await indexed(mesh, daemon);
  expect((await documents())[0]).toEqual({ id: 1, n: 100, info: 'z' });
});

test('G2: what arrives while the index is copied is in it', async () => {
  await using mesh = await Mesh.create(server, 'meanwhile', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, 'row' from generate_series(1, 900) i");
  await mesh.add({ to: ['b'] });
  mesh.configure({ es: elasticsearch });
  await using daemon = await replaying(mesh);
  let going = true;
  const writing = (async (): Promise<void> => {
    for (let i = 0; going; i += 1) await mesh.sql('a', `update public.t set n = ${i} where id % 97 = ${i % 97}; delete from public.t where id = ${i % 900}`); // prettier-ignore
  })();
  await mesh.add({ from: 'b', to: ['es'], index, twoWay: false });
  going = false;
  await writing;
  await indexed(mesh, daemon);
});
