import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import type { PgrepProcess } from '../support/daemon.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
let doomed: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  const settings = { max_prepared_transactions: 0 };
  [server, doomed] = await Promise.all([startPostgres({ name: 'leaves', settings }), startPostgres({ name: 'doomed', settings })]); // prettier-ignore
});
afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), doomed[Symbol.asyncDispose]()]);
});

const nobody = 'postgres://postgres@127.0.0.1:9/none';

/** A mesh or star of equal tables, whose last node is on the server that is going to be lost. */
async function laid(
  name: string,
  survivors: readonly string[],
  options: { readonly forward?: boolean } = {},
): Promise<Mesh> {
  await doomed.start();
  const urls: Record<string, string> = {};
  for (const node of survivors) urls[node] = await server.createDatabase(`${name}_${node}`);
  const mesh = await Mesh.over({ ...urls, lost: await doomed.createDatabase(`${name}_lost`) }, tableSql);
  await mesh.sql(survivors[0] ?? '', fill);
  await mesh.add({ to: mesh.nodes.slice(1), ...options });
  await using daemon = await replaying(mesh);
  // A table that has not joined each of its links yet would keep versions.
  const joining = 'select from pgrep.table_position union all select from pgrep.peer_copying';
  await waitFor(async () => Object.values(await mesh.everywhere(joining)).flat().length === 0, { what: 'the tables to join their links', deadlineMs: 60_000 }); // prettier-ignore
  await sameEverywhere(mesh);
  expect(daemon.running).toBe(true);
  return mesh;
}

/** Runs links, `from>to` or `from>` for all of a node, until `query` gives `count` rows at `node`. */
async function untilThere(
  mesh: Mesh,
  links: readonly string[],
  { node, query, count }: { readonly node: string; readonly query: string; readonly count: number },
): Promise<void> {
  const daemons: PgrepProcess[] = [];
  try {
    for (const link of links) {
      const [from = '', to = ''] = link.split('>');
      daemons.push(await replaying(mesh, '--from', from, ...(to === '' ? [] : ['--to', to])));
    }
    await waitFor(async () => (await mesh.sql(node, query)).length === count, { what: `${count} rows of ${query} at ${node}`, deadlineMs: 60_000, everyMs: 50 }); // prettier-ignore
  } finally {
    for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
  }
}

async function loseLast(mesh: Mesh): Promise<void> {
  await doomed.kill();
  const { code, stderr } = await mesh.pgrep('forget-node', 'lost');
  expect([code, stderr]).toEqual([0, '']);
}

const versions = 'select (select count(*) from pgrep.row_version_1)::integer as n';
const kept = 'select (select count(*) from pgrep.row_version_1)::integer + (select count(*) from pgrep.queue_1)::integer as n'; // prettier-ignore

/** Waits until none of these nodes keeps anything of what `query` counts. */
async function untilNone(mesh: Mesh, query: string, nodes: readonly string[]): Promise<void> {
  await waitFor(async () => (await Promise.all(nodes.map((node) => mesh.sql(node, query)))).every(([row]) => row?.['n'] === 0), { what: `${query} to give 0 at ${nodes.join(', ')}`, deadlineMs: 60_000, everyMs: 200 }); // prettier-ignore
}

async function conflictsAt(mesh: Mesh, nodes: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(nodes.map((node) => mesh.sql(node, "select c.key[1] || ' ' || c.kind as line from pgrep.conflict c"))); // prettier-ignore
  return [...new Set(found.flat().map(({ line }) => String(line)))].toSorted();
}

test('G2, G5: a leaf of a star is lost: what only the hub had of it reaches the other leaves, and what the hub kept for it is freed', async () => {
  const left = ['hub', 'x', 'y'];
  await using mesh = await laid('star', left, { forward: true });
  // The leaf does not answer for a while: the hub keeps the versions of what others write, and passes it on.
  mesh.configure({ lost: nobody });
  {
    await using daemon = await replaying(mesh);
    await mesh.sql('x', "insert into public.t values (200, 0, 'x'); update public.t set info = 'x' where id = 4; delete from public.t where id = 5"); // prettier-ignore
    await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
    const ofX = 'select from pgrep.row_version_1 where k1 in (4, 5, 200)';
    await waitFor(async () => (await mesh.sql('hub', ofX)).length === 3, { what: 'versions in the sidecar of the hub', deadlineMs: 60_000 }); // prettier-ignore
    // All others have seen them.
    await untilNone(mesh, versions, ['x', 'y']);
    for (let turn = 0; turn < 3; turn += 1) await mesh.sql('hub', 'select pgrep.prune_1()');
    expect((await mesh.sql('hub', ofX)).length).toBe(3);
    expect(daemon.running).toBe(true);
  }
  // It is back, and only the hub hears of what it does last.
  mesh.configure();
  await mesh.sql('lost', "update public.t set info = 'lost' where id = 1; delete from public.t where id = 2; insert into public.t values (100, 0, 'lost'); update public.t set id = 103 where id = 3"); // prettier-ignore
  await untilThere(mesh, ['lost>hub'], { node: 'hub', query: 'select from public.t where id = 103', count: 1 });
  await loseLast(mesh);
  for (const node of ['x', 'y']) expect(await mesh.sql(node, 'select from public.t where id = 103')).toEqual([]);

  await using daemon = await replaying(mesh);
  await mesh.sql('y', "insert into public.t values (201, 0, 'y')");
  await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
  const rows = 'select id, info from public.t where id < 6 or id > 20 order by id';
  for (const node of left) {
    expect(await mesh.sql(node, rows)).toEqual([
      { id: 1, info: 'lost' },
      { id: 4, info: 'x' },
      { id: 100, info: 'lost' },
      { id: 103, info: 'row 3' },
      { id: 200, info: 'x' },
      { id: 201, info: 'y' },
    ]);
  }
  await untilNone(mesh, kept, left);
  expect(await conflictsAt(mesh, left)).toEqual([]);
  expect(daemon.running).toBe(true);
});

const ofA = 'select from public.t where id in (1, 30)';
const versionsOfA = `select from pgrep.row_version_1 where k1 in (1, 30) union all select from pgrep.queue_1 where k1 && '{1,30}'`;

/** What the survivors a and b have heard of each other before the third node is lost. */
const meetings: readonly (readonly [string, (mesh: Mesh) => Promise<void>])[] = [
  ['nothing', () => Promise.resolve()],
  [
    'all that they wrote',
    async (mesh) => {
      await untilThere(mesh, ['a>b'], { node: 'b', query: `${ofA} and info = 'a after'`, count: 2 });
      await untilThere(mesh, ['b>a'], { node: 'a', query: "select from public.t where info = 'b newer'", count: 2 });
    },
  ],
  [
    'so much that a keeps no versions of it',
    async (mesh) => {
      await untilThere(mesh, ['a>', 'b>', 'lost>a'], { node: 'a', query: versionsOfA, count: 0 });
    },
  ],
];

test.each(meetings)(
  'G5: a TRUNCATE of a lost node that one survivor had received takes the older rows of the other one, and none that is newer; the survivors had heard of each other: %s',
  async (heard, meet) => {
    const left = ['a', 'b'];
    await using mesh = await laid(`truncated_${heard.split(' ')[0] ?? ''}`, left);
    await mesh.sql('b', "update public.t set info = 'b older' where id = 5");
    await mesh.sql('lost', 'truncate public.t');
    await untilThere(mesh, ['lost>a'], { node: 'a', query: 'select from public.t', count: 0 });
    // One has seen it, the other has not.
    await mesh.sql('a', "insert into public.t values (1, 0, 'a after'), (30, 0, 'a after')");
    await mesh.sql('b', "update public.t set info = 'b newer' where id = 2; insert into public.t values (40, 0, 'b newer')"); // prettier-ignore
    await meet(mesh);
    await loseLast(mesh);
    expect((await mesh.sql('b', 'select from public.t where id between 6 and 20')).length).toBe(15);

    await using daemon = await replaying(mesh);
    await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
    const rows = 'select id, info from public.t order by id';
    for (const node of left) {
      expect(await mesh.sql(node, rows)).toEqual([
        { id: 1, info: 'a after' },
        { id: 2, info: 'b newer' },
        { id: 30, info: 'a after' },
        { id: 40, info: 'b newer' },
      ]);
    }
    await untilNone(mesh, versions, left);
    // A row that was inserted has lost nothing to the TRUNCATE; nor have those that it had seen as they were.
    expect(await conflictsAt(mesh, left)).toEqual(['2 truncate/write', '5 truncate/write']);
    expect(daemon.running).toBe(true);
  },
);
