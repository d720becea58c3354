import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConflictRecord } from '../../src/app/conflicts.ts';
import { Mesh } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'unique', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const tableSql = 'create table public.t (id integer primary key, info text, code text constraint t_code_key unique)';
const rows = 'select id, info, code from public.t order by id';
const held = 'select distinct key[1] as key, reason from pgrep.sync_err_rec order by key';

/** Key 1 gets the code `taken` at a, key 2 at b, while nothing is replayed. */
async function taken(name: string, nodes: readonly string[]): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes, sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, 'row', 'code ' || i from generate_series(1, 5) i");
  await mesh.add({ to: nodes.slice(1) });
  {
    // What waits at a daemon's first start is folded at once: not what comes now.
    await using daemon = await replaying(mesh);
    await waitFor(async () => Object.values(await mesh.everywhere('select v.looked::text as at from pgrep.versioned_table v')).every(([row]) => row?.['at'] !== null), { what: 'a first look everywhere' }); // prettier-ignore
    expect(daemon.running).toBe(true);
  }
  await mesh.sql('a', "update public.t set code = 'taken' where id = 1");
  await mesh.sql('b', "update public.t set code = 'taken' where id = 2");
  return mesh;
}

async function bothHeld(mesh: Mesh): Promise<void> {
  const expected = { a: [{ key: '1', reason: '23505' }], b: [{ key: '2', reason: '23505' }] };
  await waitFor(async () => JSON.stringify(pick(await mesh.everywhere(held))) === JSON.stringify(expected), { what: 'each node to hold its row' }); // prettier-ignore
}
const pick = (all: Readonly<Record<string, unknown>>): unknown => ({ a: all['a'], b: all['b'] });

const mends: readonly (readonly [string, string, string, readonly unknown[]])[] = [
  ['changed at its own node', 'a', "update public.t set code = 'free' where id = 1", ['free', 'taken']],
  ['the other, changed at its own node', 'b', "update public.t set code = 'free' where id = 2", ['taken', 'free']],
  ['deleted at its own node', 'a', 'delete from public.t where id = 1', [null, 'taken']],
  ['whose value the other node gives its own copy too', 'a', "update public.t set code = 'third' where id = 2", ['taken', 'third']], // prettier-ignore
];

test.each(mends)(
  'G5, G6: of two rows updated to one unique value at two nodes, when one is %s, both records clear by themselves',
  async (title, node, mend, [first, second]) => {
    await using mesh = await taken(`mend_${mends.findIndex(([each]) => each === title)}`, ['a', 'b']);
    await using daemon = await replaying(mesh);
    await bothHeld(mesh);
    // Nothing else is blocked, not even of the other columns of other rows in the same transaction.
    await mesh.sql(
      'a',
      "update public.t set info = 'passes' where id = 3; insert into public.t values (6, 'a', 'six')",
    );
    await mesh.sql('b', 'delete from public.t where id = 4');
    const others = 'select id, info from public.t where id > 2 order by id';
    expect(await sameEverywhere(mesh, others, { to: null })).toEqual([{ id: 3, info: 'passes' }, { id: 5, info: 'row' }, { id: 6, info: 'a' }]); // prettier-ignore
    expect(await mesh.everywhere('select id, code from public.t where id <= 2 order by id')).toEqual({
      a: [{ id: 1, code: 'taken' }, { id: 2, code: 'code 2' }], // prettier-ignore
      b: [{ id: 1, code: 'code 1' }, { id: 2, code: 'taken' }], // prettier-ignore
    });
    // As after ten attempts in vain, one of them after all that has arrived: only the mend itself makes room, and nobody waits for the next one.
    await mesh.sql('b', "update public.t set info = 'arrives' where id = 5");
    await waitFor(async () => (await mesh.sql('a', "select from public.t where info = 'arrives'")).length === 1, { what: 'a change of b to arrive' }); // prettier-ignore
    await mesh.everywhere("update pgrep.sync_err_rec set attempts = 10, next_time = now() + interval '1 hour'");
    await waitFor(async () => Number((await mesh.sql('a', 'select attempts from pgrep.sync_err_rec'))[0]?.['attempts']) > 10, { what: 'one more attempt' }); // prettier-ignore
    await mesh.sql(node, mend);
    const none = 'select from pgrep.sync_err_rec';
    await waitFor(async () => Object.values(await mesh.everywhere(none)).every((found) => found.length === 0), { what: 'both records to clear', deadlineMs: 60_000 }); // prettier-ignore
    const found = (await sameEverywhere(mesh, rows)).filter(({ id }) => Number(id) <= 2);
    const expected = [{ id: 1, code: first }, { id: 2, code: second }].filter(({ code }) => code !== null); // prettier-ignore
    expect(found.map(({ id, code }) => ({ id, code }))).toEqual(expected);
    expect(daemon.running).toBe(true);
  },
);

test('G6: a unique value that two nodes gave is recorded at both with the rows, nodes and times of both', async () => {
  await using mesh = await taken('recorded', ['a', 'b']);
  const since = Date.now() - 60_000;
  await using daemon = await replaying(mesh);
  await bothHeld(mesh);
  const { stdout } = await mesh.pgrep('conflicts', 'list', '--json');
  const { conflicts } = JSON.parse(stdout) as { conflicts: readonly ConflictRecord[] };
  for (const [node, other, ours, theirs] of [
    ['a', 'b', '1', '2'],
    ['b', 'a', '2', '1'],
  ] as const) {
    // prettier-ignore
    const [found, ...more] = conflicts.filter((each) => each.node === node);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ kind: 'unique', verdict: 'held', source: other, key: [theirs], local: { node, row: { id: ours, code: 'taken' } }, remote: { node: other, row: { id: theirs, code: 'taken' } } }); // prettier-ignore
    for (const time of [found?.local.time, found?.remote.time]) expect(Date.parse(time ?? '')).toBeGreaterThan(since);
  }
  expect(daemon.running).toBe(true);
});

test('G5, G6: of three nodes the third takes one of the two rows and holds the other; one mend clears all of it everywhere', async () => {
  await using mesh = await taken('three', ['a', 'b', 'c']);
  await mesh.sql('c', "update public.t set info = 'of c' where id = 3");
  await using daemon = await replaying(mesh);
  await bothHeld(mesh);
  const heldForC = 'select r.target from pgrep.sync_err_rec e join pgrep.route r using (route_id)';
  await waitFor(async () => (await mesh.everywhere(held), [...(await mesh.sql('a', heldForC)), ...(await mesh.sql('b', heldForC))].filter(({ target }) => target === 'c').length === 1), { what: 'one of both to be held for c' }); // prettier-ignore
  expect((await mesh.sql('c', "select id from public.t where code = 'taken'")).length).toBe(1);
  expect(await sameEverywhere(mesh, 'select info from public.t where id = 3', { to: null })).toEqual([{ info: 'of c' }]); // prettier-ignore
  await mesh.sql('a', "update public.t set code = 'free' where id = 1");
  const none = 'select from pgrep.sync_err_rec';
  await waitFor(async () => Object.values(await mesh.everywhere(none)).every((found) => found.length === 0), { what: 'all records to clear', deadlineMs: 60_000 }); // prettier-ignore
  expect((await sameEverywhere(mesh, rows)).slice(0, 2).map(({ code }) => code)).toEqual(['free', 'taken']);
  expect(daemon.running).toBe(true);
});
