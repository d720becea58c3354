import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forgetNode } from '../../src/app/forget-node.ts';
import type { ForgetNodeResult } from '../../src/app/results.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { fill, layout, Mesh, tableSql, wins } from './mesh.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'forget' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const nobody = 'postgres://postgres@127.0.0.1:9/none';

async function fresh(name: string, nodes: readonly string[] = ['a', 'b', 'c']): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes, sql: tableSql });
  await mesh.sql('a', fill);
  return mesh;
}

async function forget(mesh: Mesh, node: string, force = false): Promise<ForgetNodeResult> {
  await using app = mesh.app();
  return await forgetNode(app, { node, force, dryRun: false }, new AbortController().signal);
}

/** As if a batch of c, the third node, had brought a row to one node only. */
const fromC = `set application_name = 'pgrep-replayer';
insert into public.t values (100, 1, 'of c');
insert into pgrep.row_version_1 (k1, version, xid, dead, inserted, barrier)
values (100, ((extract(epoch from clock_timestamp()) * 1000000)::bigint << 8) | 3, 5, false, true, 0),
  (7, ((extract(epoch from clock_timestamp()) * 1000000)::bigint << 8) | 3, 5, true, false, 0)
  on conflict (k1) do update set version = excluded.version, xid = excluded.xid, dead = excluded.dead;
delete from public.t where id = 7;
reset application_name`;

describe('forget-node', () => {
  test('has the survivors exchange what only one of them had received, then keeps nothing for the lost node', async () => {
    await using mesh = await fresh('lost');
    await mesh.add({ to: ['b', 'c'] });
    await mesh.sql('b', fromC);
    mesh.configure({ c: nobody });
    const result = await forget(mesh, 'c');
    expect(result).toMatchObject({ unreachable: [], warnings: [] });
    expect(result.nodes).toEqual([
      { node: 'a', change: 'forgotten', queuedKeys: 0, routesRemoved: 1 },
      { node: 'b', change: 'forgotten', queuedKeys: 2, routesRemoved: 1 },
    ]);
    const left = await layout({ everywhere: async (text: string) => ({ a: await mesh.sql('a', text), b: await mesh.sql('b', text) }) }); // prettier-ignore
    expect(left).toEqual({ a: [`t->b.t live${wins}`], b: [`t->a.t live${wins}`] });
    for (const node of ['a', 'b']) {
      const kept = `select (select count(*) from pgrep.link_state where target = 'c')::integer + (select count(*) from pgrep.peer_seen where peer = 3)::integer
        + (select count(*) from pgrep.position where source = 'c')::integer as n, (select name from pgrep.node where forgotten) as name`;
      expect(await mesh.sql(node, kept)).toEqual([{ n: 0, name: 'c 3' }]);
    }
    await using daemon = mesh.spawn('run');
    await waitFor(
      async () => {
        const rows = await mesh.sql('a', 'select id from public.t where id in (7, 100)');
        return JSON.stringify(rows) === '[{"id":100}]';
      },
      { what: 'the row of c to come to a, and its delete', deadlineMs: 30_000 },
    );
    const versions = 'select k1, version & 255 as origin from pgrep.row_version_1';
    await waitFor(async () => [...(await mesh.sql('a', versions)), ...(await mesh.sql('b', versions))].length === 0, { what: 'the versions of c to be forgotten', deadlineMs: 30_000 }); // prettier-ignore
    expect(daemon.running).toBe(true);
    expect((await forget(mesh, 'c')).nodes.map(({ change, queuedKeys }) => [change, queuedKeys])).toEqual([
      ['unchanged', 0],
      ['unchanged', 0],
    ]);
  });

  test('of the only peer ends what its table no longer needs', async () => {
    await using mesh = await fresh('pair', ['a', 'b']);
    await mesh.add({ to: ['b'] });
    mesh.configure({ b: nobody });
    await forget(mesh, 'b');
    const left = `select (select count(*) from pgrep.route)::integer + (select count(*) from pgrep.captured_table)::integer
      + (select count(*) from pgrep.versioned_table)::integer + (select count(*) from pg_trigger where not tgisinternal)::integer as n`;
    expect(await mesh.sql('a', left)).toEqual([{ n: 0 }]);
    await mesh.sql('a', "insert into public.t values (1000, 1, 'goes on')");
  });

  test('names survivors that do not answer and is repeated for them; status 4', async () => {
    await using mesh = await fresh('silent');
    await mesh.add({ to: ['b', 'c'] });
    mesh.configure({ b: nobody, c: nobody });
    const first = await mesh.pgrep('forget-node', 'c', '--json');
    expect([first.code, JSON.parse(first.stdout)]).toMatchObject([
      4,
      { unreachable: ['b'], nodes: [{ node: 'a', change: 'forgotten' }] },
    ]);
    await mesh.sql('a', fromC);
    // Node b may lack what a had of c: nobody lets go of it.
    await mesh.sql('a', 'select pgrep.prune_1()');
    expect(await mesh.sql('a', 'select count(*)::integer as n from pgrep.row_version_1')).toEqual([{ n: 2 }]);
    mesh.configure({ c: nobody });
    expect(await forget(mesh, 'c')).toMatchObject({
      nodes: [
        { node: 'a', change: 'unchanged', queuedKeys: 2 },
        { node: 'b', change: 'forgotten' },
      ],
      unreachable: [],
    });
    await mesh.sql('a', 'select pgrep.prune_1()');
    expect(await mesh.sql('a', 'select count(*)::integer as n from pgrep.row_version_1')).toEqual([{ n: 2 }]);
    await using daemon = mesh.spawn('run');
    await waitFor(async () => (await mesh.sql('a', 'select from pgrep.row_version_1')).length === 0, { what: 'the versions of c to be forgotten', deadlineMs: 30_000 }); // prettier-ignore
    expect(await mesh.sql('b', 'select id from public.t where id in (7, 100)')).toEqual([{ id: 100 }]);
    expect(daemon.running).toBe(true);
  });

  test('never gives the id again: a new database in the place of the lost one gets another', async () => {
    await using mesh = await fresh('reborn');
    await mesh.add({ to: ['b', 'c'] });
    mesh.configure({ c: nobody });
    await forget(mesh, 'c');
    await using again = await Mesh.create(server, 'reborn_new', { nodes: ['c'], sql: tableSql });
    mesh.configure({ c: again.url('c') });
    const result = await mesh.add({ to: ['b', 'c'] });
    expect(result.initialised).toEqual(['c']);
    expect(await again.sql('c', 'select node_id, name from pgrep.node order by node_id')).toEqual([
      { node_id: 1, name: 'a' },
      { node_id: 2, name: 'b' },
      { node_id: 3, name: 'c 3' },
      { node_id: 4, name: 'c' },
    ]);
    expect(await again.sql('c', 'select count(*)::integer as n from public.t')).toEqual([{ n: 20 }]);
  });

  test('refuses a node that answers, the home node, an unknown one, and survivors that are linked through it only', async () => {
    await using mesh = await fresh('answers');
    await mesh.add({ from: 'b', to: ['a', 'c'], forward: true, merge: true });
    await expect(forget(mesh, 'c')).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/Node c answers/) as string,
    });
    await expect(forget(mesh, 'a')).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/"home"/) as string,
    });
    await expect(forget(mesh, 'z')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/No node knows a node z/) as string,
    });
    mesh.configure({ b: nobody });
    await expect(forget(mesh, 'b')).rejects.toMatchObject({
      code: 'route',
      message: expect.stringMatching(/public\.t of a and of c are linked through b only/) as string,
      hint: expect.stringMatching(/add-table public\.t --from a --to c --two-way --merge/) as string,
    });
    await mesh.add({ from: 'a', to: ['c'], merge: true });
    expect(await forget(mesh, 'b')).toMatchObject({
      nodes: [
        { node: 'a', routesRemoved: 1 },
        { node: 'c', routesRemoved: 1 },
      ],
    });
  });

  test('--dry-run shows the statements and changes nothing', async () => {
    await using mesh = await fresh('dry');
    await mesh.add({ to: ['b', 'c'] });
    mesh.configure({ c: nobody });
    const printed = await mesh.pgrep('forget-node', 'c', '--dry-run');
    expect([printed.code, printed.stderr]).toEqual([0, '']);
    await expect(printed.stdout).toMatchFileSnapshot('../golden/dry-run-forget-node.txt');
    expect(await mesh.sql('a', 'select count(*)::integer as n from pgrep.route')).toEqual([{ n: 2 }]);
    expect(await mesh.sql('a', 'select count(*)::integer as n from pgrep.node where forgotten')).toEqual([{ n: 0 }]);
  });
});
