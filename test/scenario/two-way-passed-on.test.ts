import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'passed-on', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('G2: a queue that holds nothing but what has arrived, for a one-way target, is emptied', async () => {
  await using mesh = await Mesh.create(server, 'queue', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'] });
  await mesh.add({ from: 'b', to: ['c'], twoWay: false });
  await using daemon = await replaying(mesh);
  await mesh.sql('a', 'update public.t set n = n + 1');
  await sameEverywhere(mesh);
  const queued = 'select count(*)::integer as n from pgrep.queue_1';
  expect(await mesh.sql('b', queued)).toEqual([{ n: 1 }]);
  await waitFor(async () => (await mesh.sql('b', queued))[0]?.['n'] === 0, { what: 'the queue of b to be emptied', deadlineMs: 90_000, everyMs: 200 }); // prettier-ignore
  expect(daemon.running).toBe(true);
});
