import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mesh } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'policies', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const tableSql = 'create table public.t (id integer primary key, info text, n numeric, tags text[])';

async function mesh(name: string, nodes: readonly string[], add: object): Promise<Mesh> {
  const made = await Mesh.create(server, name, { nodes, sql: tableSql });
  await made.sql('a', "insert into public.t (id, info) select i, 'first' from generate_series(1, 3) i");
  await made.add({ to: nodes.slice(1), ...add });
  return made;
}

/** Runs statements at nodes that do not hear of each other meanwhile, then lets a daemon make them equal. */
async function apart(of: Mesh, changes: Readonly<Record<string, string>>): Promise<void> {
  for (const [node, sql] of Object.entries(changes)) await of.sql(node, sql);
  await using running = of.spawn('run');
  await running.says(/"msg":"replaying"/);
  await equal(of);
}

async function equal(of: Mesh): Promise<void> {
  await waitFor(
    async () => {
      const { code } = await of.pgrep('wait', '--timeout', '20');
      const found = Object.values(await of.everywhere('select t::text from public.t order by id')).map((each) => JSON.stringify(each)); // prettier-ignore
      return code === 0 && new Set(found).size === 1;
    },
    { what: 'all nodes to hold the same rows', deadlineMs: 60_000 },
  );
}

const three = {
  a: "update public.t set info = 'zebra', n = 1, tags = '{x,a}' where id = 1",
  b: "update public.t set info = 'Ape', n = 30, tags = '{y}' where id = 1",
  c: "update public.t set info = 'cat', n = 2, tags = '{y,z}' where id = 1",
};

describe('G5: three nodes that write one row apart', () => {
  test('hold the greatest value of each column with pgrep.merge_greatest', async () => {
    const policyFunction = { schema: 'pgrep', name: 'merge_greatest' };
    await using of = await mesh('greatest', ['a', 'b', 'c'], { policy: 'function', policyFunction });
    await apart(of, three);
    expect(await of.sql('c', 'select info, n::text, tags from public.t where id = 1')).toEqual([
      { info: 'zebra', n: '30', tags: ['y', 'z'] },
    ]);
  });

  test('hold the union of the arrays with pgrep.merge_union, and the other columns of one of the writes', async () => {
    const policyFunction = { schema: 'pgrep', name: 'merge_union' };
    await using of = await mesh('union', ['a', 'b', 'c'], { policy: 'function', policyFunction });
    await apart(of, three);
    const [row] = await of.sql('c', 'select info, n::text, tags from public.t where id = 1');
    expect(row?.['tags']).toEqual(['a', 'x', 'y', 'z']);
    expect([['zebra', '1'], ['Ape', '30'], ['cat', '2']]).toContainEqual([row?.['info'], row?.['n']]); // prettier-ignore
  });
});

describe('versions that are held', () => {
  test.each([
    ['local', 'a', 'a'],
    ['remote', 'a', 'b'],
    ['local', 'b', 'b'],
  ] as const)('restore --keep %s at %s makes that of %s stand everywhere', async (keep, node, winner) => {
    await using of = await mesh(`keep_${keep}_${node}`, ['a', 'b'], { policy: 'hold' });
    await of.sql('a', "update public.t set info = 'a' where id = 1");
    await of.sql('b', "update public.t set info = 'b' where id = 1");
    await using running = of.spawn('run');
    await waitFor(async () => Object.values(await of.everywhere("select 1 from pgrep.conflict where verdict = 'held'")).every((rows) => rows.length === 1), { what: 'both nodes to hold' }); // prettier-ignore
    const [found] = await of.sql(node, 'select id from pgrep.conflict');
    const { code, stderr } = await of.pgrep('conflicts', 'restore', String(found?.['id']), '--node', node, '--keep', keep); // prettier-ignore
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await equal(of);
    expect(await of.sql('a', 'select info from public.t where id = 1')).toEqual([{ info: winner }]);
    await of.pgrep('retry-errors');
    await waitFor(async () => Object.values(await of.everywhere('select 1 from pgrep.sync_err_rec')).every((rows) => rows.length === 0), { what: 'no record to be left', deadlineMs: 40_000 }); // prettier-ignore
    expect(running.running).toBe(true);
  });

  test('a delete that is kept where the row is absent already deletes it everywhere', async () => {
    await using of = await mesh('keep_delete', ['a', 'b'], { policy: 'hold' });
    await of.sql('a', 'delete from public.t where id = 1');
    await of.sql('b', "update public.t set info = 'b' where id = 1");
    await using running = of.spawn('run');
    await waitFor(async () => Object.values(await of.everywhere("select 1 from pgrep.conflict where verdict = 'held'")).every((rows) => rows.length === 1), { what: 'both nodes to hold' }); // prettier-ignore
    const [found] = await of.sql('a', 'select id from pgrep.conflict');
    const { code, stdout } = await of.pgrep('conflicts', 'restore', String(found?.['id']), '--node', 'a', '--keep', 'local'); // prettier-ignore
    expect([code, stdout]).toEqual([0, expect.stringContaining('Left public.t 1 deleted')]);
    await equal(of);
    expect(await of.sql('b', 'select 1 from public.t where id = 1')).toEqual([]);
    expect(running.running).toBe(true);
  });
});

test('add-table --sequences interleave: two nodes insert apart without a conflict, and doctor has nothing to say', async () => {
  const sql = 'create table public.t (id bigint generated always as identity primary key, info text)';
  await using of = await Mesh.create(server, 'interleaved', { nodes: ['a', 'b'], sql });
  await of.sql('a', "insert into public.t (info) select 'old' from generate_series(1, 10)");
  const doctor = async (): Promise<string> => (await of.pgrep('doctor')).stdout;
  await of.add({ to: ['b'] });
  expect(await doctor()).toContain('error: b public.t (sequence)');
  const added = await of.pgrep('add-table', 'public.t', '--to', 'b', '--two-way', '--sequences', 'interleave');
  expect(added.code).toBe(0);
  expect(await doctor()).not.toContain('error: ');
  await apart(of, {
    a: "insert into public.t (info) select 'a' from generate_series(1, 100)",
    b: "insert into public.t (info) select 'b' from generate_series(1, 100)",
  });
  expect(await of.sql('a', 'select count(*)::integer as n from public.t')).toEqual([{ n: 210 }]);
  for (const rows of Object.values(await of.everywhere('select 1 from pgrep.conflict'))) expect(rows).toEqual([]);
});
