import { afterAll, beforeAll, expect, test } from 'vitest';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'sidecar', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const sidecar = 'select count(*)::integer as n from pgrep.row_version_1';
const queue = 'select count(*)::integer as n from pgrep.queue_1';

async function untilEmpty(mesh: Mesh, query: string, nodes = mesh.nodes): Promise<void> {
  await waitFor(
    async () => (await Promise.all(nodes.map((node) => mesh.sql(node, query)))).every(([row]) => row?.['n'] === 0),
    { what: `nothing left of ${query}`, deadlineMs: 90_000, everyMs: 200 },
  );
}

/** Single updates of random keys up to `keys`, each a transaction of its own. */
function updates(count: number, keys: number): string {
  return `do $$ begin for i in 1..${count} loop
    update public.t set n = i where id = 1 + floor(random() * ${keys})::integer; commit;
  end loop; end $$`;
}

test('the sidecar and the queues are empty again after 50,000 updates of 500 keys at both nodes at once', async () => {
  await using mesh = await Mesh.create(server, 'many', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, 'row' from generate_series(1, 500) i");
  await mesh.add({ to: ['b'] });
  await using daemon = await replaying(mesh);
  let most = 0;
  const writing = Promise.all(mesh.nodes.map((node) => mesh.sql(node, updates(25_000, 500))));
  let ended = false;
  void writing.finally(() => (ended = true)).catch(() => undefined);
  await waitFor(
    async () => {
      for (const [row] of Object.values(await mesh.everywhere(sidecar))) most = Math.max(most, Number(row?.['n']));
      return ended;
    },
    { what: 'the end of all updates', deadlineMs: 120_000, everyMs: 100 },
  );
  await writing;
  await sameEverywhere(mesh);
  expect(most).toBeLessThanOrEqual(500);
  await untilEmpty(mesh, sidecar);
  await untilEmpty(mesh, queue);
  expect(daemon.running).toBe(true);
});

// Two of three nodes are written while the third is dead; then `ends` brings it back or gives it up.
async function withoutC(name: string, ends: (mesh: Mesh) => Promise<readonly string[]>): Promise<void> {
  await using mesh = await Mesh.create(server, name, { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', fill);
  await mesh.add({ to: ['b', 'c'] });
  mesh.configure({ c: 'postgres://postgres@127.0.0.1:1/nowhere' });
  {
    await using daemon = await replaying(mesh);
    await mesh.sql('a', "insert into public.t select i, i, 'a' from generate_series(101, 400) i");
    await mesh.sql('b', "insert into public.t select i, i, 'b' from generate_series(401, 700) i");
    for (let turn = 0; turn < 5; turn += 1) {
      await Promise.all(['a', 'b'].map((node) => mesh.sql(node, updates(500, 700))));
      await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b'], to: null });
    }
    await mesh.sql('a', 'delete from public.t where id between 390 and 410');
    await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b'], to: null });
    await untilFolded(mesh, ['a', 'b']);
    const keys = 'select distinct unnest(q.k1) as id from pgrep.queue_1 q where q.from_node is null order by id';
    const queued = new Set([...(await mesh.sql('a', keys)), ...(await mesh.sql('b', keys))].map(({ id }) => id));
    for (const node of ['a', 'b']) {
      const versions = Number((await mesh.sql(node, sidecar))[0]?.['n']);
      expect(versions).toBeGreaterThan(0);
      expect(versions).toBeLessThanOrEqual(queued.size);
    }
    expect(daemon.running).toBe(true);
  }
  const left = await ends(mesh);
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh, wholeTable, { nodes: left, to: null });
  await untilEmpty(mesh, sidecar, left);
  await untilEmpty(mesh, queue, left);
  expect(daemon.running).toBe(true);
}

async function untilFolded(mesh: Mesh, nodes: readonly string[]): Promise<void> {
  const waiting = `select exists (select from pgrep.queue_1 q, pgrep.versioned_table v where q.from_node is null and not pg_visible_in_snapshot(q.xid, v.folded)) as waiting`;
  await waitFor(async () => (await Promise.all(nodes.map((node) => mesh.sql(node, waiting)))).every(([row]) => row?.['waiting'] === false), { what: 'queues that are folded' }); // prettier-ignore
}

test('the sidecar keeps what a dead node lacks, no more than there are keys queued, and is empty again when it is back', async () => {
  await withoutC('back_again', (mesh) => {
    mesh.configure();
    return Promise.resolve(mesh.nodes);
  });
});

test('the sidecar keeps what a dead node lacks, and is empty again when it was forgotten', async () => {
  await withoutC('given_up', async (mesh) => {
    const { code, stderr } = await mesh.pgrep('forget-node', 'c');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return ['a', 'b'];
  });
});
