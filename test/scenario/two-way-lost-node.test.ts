import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StatusResult } from '../../src/app/results.ts';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
let doomed: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  const settings = { max_prepared_transactions: 0 };
  [server, doomed] = await Promise.all([startPostgres({ name: 'survivors', settings }), startPostgres({ name: 'doomed', settings })]); // prettier-ignore
});
afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), doomed[Symbol.asyncDispose]()]);
});

const left = ['a', 'b'];

async function links(mesh: Mesh): Promise<readonly string[]> {
  const { stdout } = await mesh.pgrep('status', '--json');
  return (JSON.parse(stdout) as StatusResult).links.map((each) => `${each.source} -> ${each.target} ${each.state}`);
}

test('G2, G5: a server is lost under a running daemon; what one survivor had of it the other gets, nothing is kept for it, and it cannot come back', async () => {
  const urls = { a: await server.createDatabase('lost_a'), b: await server.createDatabase('lost_b'), c: await doomed.createDatabase('lost_c') }; // prettier-ignore
  await using mesh = await Mesh.over(urls, tableSql);
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'] });
  {
    await using daemon = await replaying(mesh);
    await sameEverywhere(mesh);
    expect(daemon.running).toBe(true);
  }
  // Only a hears of what c does last.
  await mesh.sql('c', "update public.t set info = 'c' where id = 1; delete from public.t where id = 2; insert into public.t values (100, 0, 'c'); update public.t set id = 103 where id = 3"); // prettier-ignore
  {
    await using daemon = await replaying(mesh, '--from', 'c', '--to', 'a');
    await waitFor(async () => (await mesh.sql('a', 'select from public.t where id = 103')).length === 1, { what: 'the changes of c at a' }); // prettier-ignore
    expect(daemon.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  await doomed.kill();
  await mesh.sql('b', "insert into public.t values (200, 0, 'b')");
  await waitFor(async () => (await mesh.sql('a', 'select from public.t where id = 200')).length === 1, { what: 'the change of b at a' }); // prettier-ignore
  const forgotten = await mesh.pgrep('forget-node', 'c');
  expect([forgotten.code, forgotten.stderr]).toEqual([0, '']);
  await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
  const ofC = 'select id, info from public.t where id in (1, 2, 3, 100, 103, 200) order by id';
  expect(await mesh.sql('b', ofC)).toEqual([{ id: 1, info: 'c' }, { id: 100, info: 'c' }, { id: 103, info: 'row 3' }, { id: 200, info: 'b' }]); // prettier-ignore
  const kept = 'select (select count(*) from pgrep.row_version_1)::integer + (select count(*) from pgrep.queue_1)::integer as n'; // prettier-ignore
  await waitFor(async () => (await Promise.all(left.map((node) => mesh.sql(node, kept)))).every(([row]) => row?.['n'] === 0), { what: 'queues and sidecars that are empty', deadlineMs: 90_000, everyMs: 200 }); // prettier-ignore
  await waitFor(async () => (await links(mesh)).join() === 'a -> b running,b -> a running', { what: 'links of the survivors only' }); // prettier-ignore

  await doomed.start();
  await waitFor(async () => (await mesh.sql('c', "insert into public.t values (300, 0, 'zombie')")).length === 0, { what: 'c to take a row' }); // prettier-ignore
  await waitFor(async () => (await links(mesh)).join() === 'a -> b running,b -> a running,c -> a stopped,c -> b stopped', { what: 'links from c that have stopped' }); // prettier-ignore
  const copied = await mesh.pgrep('copy', 'public.t', '--from', 'c', '--to', 'b', '--restart');
  expect([copied.code, copied.stderr]).toEqual([2, expect.stringMatching(/Node c \(id 3\) was forgotten/)]);
  await mesh.sql('a', "insert into public.t values (301, 0, 'a')");
  await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
  expect(await mesh.sql('a', 'select id from public.t where id >= 300')).toEqual([{ id: 301 }]);
  expect(daemon.running).toBe(true);
  await expectNoConflicts(mesh);
});
