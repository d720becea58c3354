import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LinkStatus, StatusResult } from '../../src/app/results.ts';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, setClock, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'versions', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function meshOf(name: string, nodes: readonly string[] = ['a', 'b', 'c']): Promise<Mesh> {
  const mesh = await Mesh.create(server, name, { nodes, sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: nodes.slice(1) });
  return mesh;
}

describe('G5: a clock that steps back ten minutes', () => {
  const first = [
    "update public.t set info = 'first' where id = 1",
    'delete from public.t where id = 2',
    "insert into public.t values (32, 0, 'first')",
    'update public.t set id = 33 where id = 3',
    'update public.t set id = 34 where id = 4',
  ];
  const second = [
    "update public.t set info = 'second' where id = 1",
    "insert into public.t values (2, 0, 'second')",
    'delete from public.t where id = 32',
    'update public.t set id = 3 where id = 33',
    "insert into public.t values (4, 0, 'second')",
  ];
  const changed = 'select id, info from public.t where id in (1, 2, 3, 4, 32, 33, 34) order by id';
  const expected = [
    { id: 1, info: 'second' },
    { id: 2, info: 'second' },
    { id: 3, info: 'row 3' },
    { id: 4, info: 'second' },
    { id: 34, info: 'row 4' },
  ];

  /** What happens between a node's two changes: a daemon runs with `args` until something `arrived`. */
  interface Between {
    readonly args: readonly string[];
    readonly arrived: (mesh: Mesh) => Promise<unknown>;
  }
  const folded = `select coalesce(max(q.version) >> 8, 0) <= pg_sequence_last_value('pgrep.clock') as folded from pgrep.queue_1 q where q.from_node is null`;
  const between: readonly (readonly [string, Between | null])[] = [
    ['before anything was replayed', null],
    ['when the change before has arrived everywhere', { args: [], arrived: (mesh) => sameEverywhere(mesh) }],
    [
      'when the change before has arrived at one of two peers',
      { args: ['--to', 'b'], arrived: (mesh) => sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b'], to: 'b' }) },
    ],
    [
      'when the version of the change before was folded',
      {
        args: [],
        arrived: (mesh) =>
          waitFor(async () => (await mesh.sql('a', folded))[0]?.['folded'] === true, { what: 'a fold at a' }),
      },
    ],
  ];

  test.each(between)('%s: the later change of the node stands everywhere', async (title, happens) => {
    const name = `back_${between.findIndex(([each]) => each === title)}`;
    await using mesh = await meshOf(name);
    await sendTwice(mesh, { first, second, happens });
    expect(await sameEverywhere(mesh, changed)).toEqual(expected);
    await sameEverywhere(mesh);
    await expectNoConflicts(mesh);
  });

  test.each(between)('%s: what was inserted after a TRUNCATE stands everywhere', async (title, happens) => {
    const name = `truncated_${between.findIndex(([each]) => each === title)}`;
    await using mesh = await meshOf(name);
    const inserted = ["insert into public.t select i, 0, 'second' from generate_series(19, 21) i"];
    await sendTwice(mesh, { first: ['truncate public.t'], second: inserted, happens });
    const rows = [19, 20, 21].map((id) => ({ id, info: 'second' }));
    expect(await sameEverywhere(mesh, 'select id, info from public.t order by id')).toEqual(rows);
    await expectNoConflicts(mesh);
  });

  /** Two changes at a, the second by a clock that was set back; then everything is replayed. */
  async function sendTwice(
    mesh: Mesh,
    { first, second, happens }: { first: readonly string[]; second: readonly string[]; happens: Between | null },
  ): Promise<void> {
    await setClock(mesh, 'a', 0);
    for (const statement of first) await mesh.sql('a', statement);
    {
      await using daemon = happens === null ? null : await replaying(mesh, ...happens.args);
      await happens?.arrived(mesh);
      await setClock(mesh, 'a', -600);
      for (const statement of second) await mesh.sql('a', statement);
      expect(daemon?.running ?? true).toBe(true);
    }
    await using all = await replaying(mesh);
    const query = "select count(*)::integer as n from public.t where info = 'second'";
    const [there] = await mesh.sql('a', query);
    expect(await sameEverywhere(mesh, query)).toEqual([there]);
    expect(all.running).toBe(true);
  }
});

test('G5: of two changes that a lost node made before and after its clock stepped back, each received by another survivor, the later stands', async () => {
  await using mesh = await meshOf('lost');
  await setClock(mesh, 'c', 0);
  const reaches = async (node: string, info: string): Promise<void> => {
    await mesh.sql('c', `update public.t set info = '${info}' where id = 1`);
    await using daemon = await replaying(mesh, '--from', 'c', '--to', node);
    await waitFor(async () => (await mesh.sql(node, `select from public.t where info = '${info}'`)).length === 1, { what: `${info} at ${node}` }); // prettier-ignore
    expect(daemon.running).toBe(true);
  };
  await reaches('a', 'first');
  await setClock(mesh, 'c', -600);
  await reaches('b', 'second');
  mesh.configure({ c: 'postgres://postgres@127.0.0.1:1/nowhere' });
  const { code, stderr } = await mesh.pgrep('forget-node', 'c');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b'], to: null });
  expect(await mesh.sql('a', 'select info from public.t where id = 1')).toEqual([{ info: 'second' }]);
  expect(daemon.running).toBe(true);
});

async function links(mesh: Mesh): Promise<readonly LinkStatus[]> {
  const { stdout } = await mesh.pgrep('status', '--json');
  return (JSON.parse(stdout) as StatusResult).links;
}

test('G5: a change from too far ahead stops the link, says between which nodes (status ends with 3), and goes on when clocks agree again', async () => {
  await using mesh = await meshOf('ahead', ['a', 'b']);
  const path = join(mesh.folder, 'pgrep.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...config, replayer: { maxClockSkewMs: 5_000 } }));
  await using daemon = await replaying(mesh);
  await setClock(mesh, 'b', 20);
  await mesh.sql('b', "update public.t set info = 'ahead' where id = 1");
  await mesh.sql('a', "update public.t set info = 'passes' where id = 2");
  const stopped = await waitFor(async () => (await links(mesh)).find(({ state }) => state === 'stopped'), { what: 'a stopped link' }); // prettier-ignore
  expect(stopped).toMatchObject({ source: 'b', target: 'a', lastError: expect.stringMatching(/^Node b sent a change from the future of a: .*maxClockSkewMs/) as string }); // prettier-ignore
  expect((await mesh.pgrep('status')).code).toBe(3);
  // The other way goes on meanwhile, and a has not let its clock be moved.
  await waitFor(async () => (await mesh.sql('b', "select from public.t where id = 2 and info = 'passes'")).length === 1, { what: 'the change of a at b' }); // prettier-ignore
  const moved =
    "select pg_sequence_last_value('pgrep.clock') > extract(epoch from clock_timestamp()) * 1000000 as moved";
  expect(await mesh.sql('a', moved)).toEqual([{ moved: false }]);
  await setClock(mesh, 'b', 0);
  await sameEverywhere(mesh);
  expect(await mesh.sql('a', 'select info from public.t where id = 1')).toEqual([{ info: 'ahead' }]);
  // And what a writes next is newer, though its own clock is behind that of the change.
  await mesh.sql('a', "update public.t set info = 'after' where id = 1");
  await sameEverywhere(mesh);
  expect(await mesh.sql('b', 'select info from public.t where id = 1')).toEqual([{ info: 'after' }]);
  await waitFor(async () => (await links(mesh)).every(({ state }) => state === 'running'), { what: 'links that run' });
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});
