import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'merged', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const mostSql = `create function public.most(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql immutable as $$
  select row(a.id, greatest(a.n, b.n), greatest(a.info, b.info))::public.t $$`;

test('G5: a change made upon a merged row stands, also where the merging node folds its own older change only afterwards', async () => {
  await using mesh = await Mesh.create(server, 'upon', { nodes: ['a', 'b'], sql: `${tableSql}; ${mostSql}` });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'], policy: 'function', policyFunction: { schema: 'public', name: 'most' } });
  const row = 'select n, info from public.t where id = 1';
  const shows = async (node: string, n: number, info: string): Promise<unknown> =>
    waitFor(async () => JSON.stringify(await mesh.sql(node, row)) === JSON.stringify([{ n, info }]), { what: `${n} ${info} at ${node}` }); // prettier-ignore
  await mesh.sql('a', "update public.t set n = 100, info = 'x' where id = 1");
  await mesh.sql('b', "update public.t set n = 50, info = 'z' where id = 1");
  const holder = new pg.Client({ connectionString: mesh.url('a') });
  await holder.connect();
  try {
    // No fold at a gets through.
    await holder.query('begin; select from pgrep.versioned_table for update');
    {
      await using toA = await replaying(mesh, '--from', 'b');
      await shows('a', 100, 'z');
      expect(toA.running).toBe(true);
    }
    await using toB = await replaying(mesh, '--from', 'a');
    await shows('b', 100, 'z');
    await mesh.sql('b', "update public.t set n = 1, info = 'later' where id = 1");
    await holder.query('commit');
    const waiting = `select exists (select from pgrep.queue_1 q, pgrep.versioned_table v where q.from_node is null and not pg_visible_in_snapshot(q.xid, v.folded)) as waiting`;
    await waitFor(async () => (await mesh.sql('a', waiting))[0]?.['waiting'] === false, { what: 'a fold at a' });
    expect(toB.running).toBe(true);
  } finally {
    await holder.end();
  }
  await using daemon = await replaying(mesh);
  expect(await sameEverywhere(mesh, row)).toEqual([{ n: 1, info: 'later' }]);
  expect(daemon.running).toBe(true);
});
