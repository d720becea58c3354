import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'functions', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('G6: a policy function that fails for one row holds that row alone, and tells of it', async () => {
  await using mesh = await Mesh.create(server, 'fails', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', fill);
  for (const node of mesh.nodes) await mesh.sql(node, `create function public.pick(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql as $$
    select row(a.id, 100 / (a.n + b.n), greatest(a.info, b.info))::public.t $$`); // prettier-ignore
  await mesh.add({ to: ['b'], policy: 'function', policyFunction: { schema: 'public', name: 'pick' } });
  await mesh.sql('a', "update public.t set n = 5 where id = 1; update public.t set info = 'passes' where id = 2");
  await mesh.sql('b', "update public.t set n = -5 where id = 1; update public.t set info = 'passes' where id = 3");
  await using daemon = await replaying(mesh);
  const passed = "select from public.t where info = 'passes'";
  await waitFor(async () => Object.values(await mesh.everywhere(passed)).every((each) => each.length === 2), { what: 'other rows to pass' }); // prettier-ignore
  const held = 'select key[1] as key, reason from pgrep.sync_err_rec';
  await waitFor(async () => Object.values(await mesh.everywhere(held)).every((each) => each.length === 1), { what: 'both to hold the row' }); // prettier-ignore
  expect(await mesh.everywhere(held)).toEqual({ a: [{ key: '1', reason: '22012' }], b: [{ key: '1', reason: '22012' }] }); // prettier-ignore
  // Both rows are kept, too: a later write of the row replaces one of them.
  const kept =
    "select key[1] as key, verdict, local_row ->> 'n' as local, remote_row ->> 'n' as remote from pgrep.conflict";
  expect(await mesh.everywhere(kept)).toEqual({
    a: [{ key: '1', verdict: 'held', local: '5', remote: '-5' }],
    b: [{ key: '1', verdict: 'held', local: '-5', remote: '5' }],
  });
  expect(daemon.running).toBe(true);
});
