import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConflictRecord } from '../../src/app/conflicts.ts';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'records', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const rows = 'select id, info from public.t where id in (1, 2, 3, 30) order by id';
const change = (node: string): string => `update public.t set info = '${node}' where id = 1; insert into public.t values (30, 0, '${node}')`; // prettier-ignore
/** Key 1 is updated at both, 30 inserted at both, 2 and 3 are updated at one and deleted at the other. */
const statements = {
  a: `${change('a')}; update public.t set info = 'a' where id = 2; delete from public.t where id = 3`,
  b: `${change('b')}; delete from public.t where id = 2; update public.t set info = 'b' where id = 3`,
};

/** What a node recorded: kind, which side stands and both rows' infos, by key; every version's node and time are looked at. */
async function recorded(mesh: Mesh, node: string, since: number): Promise<readonly string[]> {
  const { code, stdout } = await mesh.pgrep('conflicts', 'list', '--node', node, '--json');
  expect(code).toBe(0);
  const { conflicts } = JSON.parse(stdout) as { conflicts: readonly ConflictRecord[] };
  const other = node === 'a' ? 'b' : 'a';
  return conflicts
    .map((each) => {
      expect(each).toMatchObject({ node, nsp_name: 'public', table_name: 't', policy: 'last-write-wins', source: other }); // prettier-ignore
      expect([each.local.node, each.remote.node]).toEqual([node, other]);
      for (const { time } of [each.local, each.remote]) {
        expect(Date.parse(time ?? '')).toBeGreaterThan(since);
        expect(Date.parse(time ?? '')).toBeLessThanOrEqual(Date.now());
      }
      const [local, remote] = [each.local, each.remote].map(({ row }) => row?.['info'] ?? '-');
      expect(each.local.row?.['n'] ?? each.remote.row?.['n']).toBeDefined();
      return `${each.key.join()} ${each.kind}: ${local ?? ''}, ${remote ?? ''}: ${each.verdict}`;
    })
    .toSorted();
}

test.each([
  ['a', 'b'],
  ['b', 'a'],
] as const)(
  'G6: conflicts of %s and %s, which wrote last, are recorded at each node from its own side, with kind, nodes, times and rows',
  async (first, last) => {
    await using mesh = await Mesh.create(server, `kinds_${last}`, { nodes: ['a', 'b'], sql: tableSql });
    await mesh.sql('a', fill);
    await mesh.add({ to: ['b'] });
    const since = Date.now() - 1;
    await mesh.sql(first, statements[first]);
    await mesh.sql(last, statements[last]);
    await using daemon = await replaying(mesh);
    const expected = last === 'b' ? [[1, 'b'], [3, 'b'], [30, 'b']] : [[1, 'a'], [2, 'a'], [30, 'a']]; // prettier-ignore
    expect((await sameEverywhere(mesh, rows)).map(({ id, info }) => [id, info])).toEqual(expected);
    // The node that wrote last had its changes there when the others came, and sends them on to where the others were.
    const side = { a: last === 'a' ? 'local' : 'remote', b: last === 'b' ? 'local' : 'remote' };
    const ofA = [
      `1 update/update: a, b: ${side.a}`,
      `2 update/delete: a, -: ${side.a}`,
      `3 delete/update: -, b: ${side.a}`,
      `30 insert/insert: a, b: ${side.a}`,
    ].toSorted();
    const ofB = [
      `1 update/update: b, a: ${side.b}`,
      `2 delete/update: -, a: ${side.b}`,
      `3 update/delete: b, -: ${side.b}`,
      `30 insert/insert: b, a: ${side.b}`,
    ].toSorted();
    const found = { a: await recorded(mesh, 'a', since), b: await recorded(mesh, 'b', since) };
    const all = { a: ofA, b: ofB };
    // One of the nodes may not have met what the other had overwritten before it was sent; none is missing at both.
    for (const node of ['a', 'b'] as const) expect(all[node]).toEqual(expect.arrayContaining([...found[node]]));
    const keys = new Set([...found.a, ...found.b].map((line) => line.split(' ')[0]));
    expect([...keys].toSorted()).toEqual(['1', '2', '3', '30']);
    expect(daemon.running).toBe(true);
  },
);

test('G6: what lost to a TRUNCATE or a delete, or was deleted in vain, is restored and reaches all of three nodes', async () => {
  await using mesh = await Mesh.create(server, 'restored', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'] });
  const restore = async (kind: string, key: number): Promise<void> => {
    const found = await mesh.everywhere(`select min(id)::text as id from pgrep.conflict where kind = '${kind}' and key = '{${key}}' having count(*) > 0`); // prettier-ignore
    const [node = '', ids = []] = Object.entries(found).find(([, each]) => each.length > 0) ?? [];
    const { code, stderr } = await mesh.pgrep('conflicts', 'restore', String(ids[0]?.['id']), '--node', node);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  };
  await mesh.sql('a', "update public.t set info = 'lost' where id in (4, 5); delete from public.t where id = 6");
  await mesh.sql('b', "delete from public.t where id in (4, 5); update public.t set info = 'won' where id = 6");
  await using daemon = await replaying(mesh);
  const three = 'select id, n, info from public.t where id in (4, 5, 6) order by id';
  expect(await sameEverywhere(mesh, three)).toEqual([{ id: 6, n: 6, info: 'won' }]);
  const kinds = await mesh.everywhere('select distinct kind, key[1] as key from pgrep.conflict');
  const kindOf = (key: string): string => String(Object.values(kinds).flat().find((each) => each['key'] === key)?.['kind']); // prettier-ignore
  await restore(kindOf('4'), 4);
  await restore(kindOf('6'), 6);
  await waitFor(async () => (await sameEverywhere(mesh, three)).length === 1 && (await mesh.sql('c', 'select from public.t where id = 6')).length === 0, { what: 'both decisions everywhere' }); // prettier-ignore
  expect(await sameEverywhere(mesh, three)).toEqual([{ id: 4, n: 4, info: 'lost' }]);
  expect(daemon.running).toBe(true);
});

test('G6: a write that a TRUNCATE took is restored', async () => {
  await using mesh = await Mesh.create(server, 'emptied', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b'] });
  await mesh.sql('a', "update public.t set info = 'lost' where id = 7");
  await mesh.sql('b', 'truncate public.t');
  await using daemon = await replaying(mesh);
  expect(await sameEverywhere(mesh, rows)).toEqual([]);
  const found = await mesh.everywhere("select min(id)::text as id from pgrep.conflict where kind = 'truncate/write' having count(*) > 0"); // prettier-ignore
  const [node = '', ids = []] = Object.entries(found).find(([, each]) => each.length > 0) ?? [];
  expect((await mesh.pgrep('conflicts', 'restore', String(ids[0]?.['id']), '--node', node)).code).toBe(0);
  expect(await waitFor(async () => { const at = await sameEverywhere(mesh, 'select id, info from public.t'); return at.length > 0 ? at : null; }, { what: 'the row' })).toEqual([{ id: 7, info: 'lost' }]); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G6: what a node has refused it has not seen: a write there that replaces it is recorded', async () => {
  await using mesh = await Mesh.create(server, 'refused', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t values (1, 1, '')");
  await mesh.add({ to: ['b'] });
  await mesh.sql('b', 'alter table public.t add constraint small check (n < 100)');
  await using daemon = await replaying(mesh);
  await mesh.sql('a', "update public.t set n = 500, info = 'too large' where id = 1");
  await waitFor(async () => (await mesh.sql('a', "select from pgrep.sync_err_rec where reason = '23514'")).length === 1, { what: 'the row to be held' }); // prettier-ignore
  await mesh.sql('b', "update public.t set info = 'of b' where id = 1");
  await waitFor(async () => (await mesh.sql('a', "select from public.t where info = 'of b'")).length === 1, { what: 'the write to arrive' }); // prettier-ignore
  expect(await mesh.sql('a', "select kind, verdict, local_row ->> 'info' as lost from pgrep.conflict")).toEqual([{ kind: 'update/update', verdict: 'remote', lost: 'too large' }]); // prettier-ignore
  await waitFor(async () => (await mesh.sql('a', 'select from pgrep.sync_err_rec')).length === 0, { what: 'the record to clear', deadlineMs: 40_000 }); // prettier-ignore
  expect(daemon.running).toBe(true);
});
