import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AddTableOptions } from '../../src/app/results.ts';
import { fill, Mesh, tableSql } from '../integration/mesh.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  // Replayers are woken by notifications only where no transaction can be prepared.
  server = await startPostgres({ name: 'topology', settings: { max_prepared_transactions: 0 } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

// Counts each change of a row, whoever makes it, also where a replayer's session fires no ordinary triggers.
const auditSql = `create table public.audit (place bigint generated always as identity, op text not null, id integer not null);
create function public.audit() returns trigger language plpgsql as $$
begin
  insert into public.audit (op, id) values (tg_op, coalesce(new.id, old.id));
  return null;
end $$;
create trigger audit after insert or update or delete on public.t for each row execute function public.audit();
alter table public.t enable always trigger audit`;

// A join: the greatest value of each column.
const mostSql = `create function public.most(a public.t, av bigint, b public.t, bv bigint) returns public.t language sql immutable as $$
  select row(a.id, greatest(a.n, b.n), greatest(a.info, b.info))::public.t $$`;

interface Topology {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly lay: (mesh: Mesh, policy: Policy) => Promise<unknown>;
}
type Policy = Pick<AddTableOptions, 'policy' | 'policyFunction'>;
const mesh3: Topology = {
  name: 'mesh',
  nodes: ['a', 'b', 'c'],
  lay: (mesh, policy) => mesh.add({ to: ['b', 'c'], ...policy }),
};
const star: Topology = {
  name: 'star',
  nodes: ['hub', 'x', 'y', 'z'],
  lay: (mesh, policy) => mesh.add({ to: ['x', 'y', 'z'], forward: true, ...policy }),
};
const chain: Topology = {
  name: 'chain',
  nodes: ['a', 'b', 'c', 'd'],
  lay: async (mesh, policy) => {
    await mesh.add({ from: 'b', to: ['a', 'c'], forward: true, ...policy });
    await mesh.add({ from: 'c', to: ['d'], forward: true, ...policy });
  },
};

async function laid({ name, nodes, lay }: Topology, suffix: string, policy: Policy = {}): Promise<Mesh> {
  const mesh = await Mesh.create(server, `${name}_${suffix}`, { nodes, sql: `${tableSql}; ${mostSql}` });
  await lay(mesh, policy);
  await mesh.sql(nodes[0] ?? '', fill);
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  expect(daemon.running).toBe(true);
  return mesh;
}

describe.each([mesh3, star, chain].map((each) => [each.name, each] as const))('%s', (_name, topology) => {
  test('G3, G5: each change is applied exactly once at each node, and nothing goes on afterwards', async () => {
    await using mesh = await laid(topology, 'once');
    for (const node of mesh.nodes) await mesh.sql(node, auditSql);
    await using daemon = await replaying(mesh);
    // Each node has keys of its own and changes each of them in steps that all nodes have seen before the next.
    const own = (place: number): string => `id between ${1000 * (place + 1)} and ${1000 * (place + 1) + 99}`;
    const steps: readonly ((place: number) => string)[] = [
      (place) => `insert into public.t select i, 0, 'new' from generate_series(${1000 * (place + 1)}, ${1000 * (place + 1) + 99}) i`, // prettier-ignore
      (place) => `update public.t set n = n + 1 where ${own(place)}`,
      (place) => `delete from public.t where ${own(place)} and id % 2 = 0`,
    ];
    for (const step of steps) {
      await Promise.all(mesh.nodes.map((node, place) => mesh.sql(node, step(place))));
      await sameEverywhere(mesh);
    }
    await untilIdle(mesh);
    const counts =
      'select op, count(*)::integer as n, count(distinct id)::integer as ids from public.audit group by op order by op';
    const nodes = mesh.nodes.length;
    const once = [
      { op: 'DELETE', n: 50 * nodes, ids: 50 * nodes },
      { op: 'INSERT', n: 100 * nodes, ids: 100 * nodes },
      { op: 'UPDATE', n: 100 * nodes, ids: 100 * nodes },
    ];
    expect(await mesh.everywhere(counts)).toEqual(Object.fromEntries(mesh.nodes.map((node) => [node, once])));
    await expectNoConflicts(mesh);
    await untilForgotten(mesh);
    expect(daemon.running).toBe(true);
  });

  test('G5: of concurrent changes at all nodes the latest stands everywhere', async () => {
    await using mesh = await laid(topology, 'wins');
    const last = mesh.nodes.length - 1;
    // Nobody replays: nobody hears of another's change. Key 1 is written in the order of nodes, key 2 the other way round.
    for (const [place, node] of mesh.nodes.entries()) {
      await mesh.sql(node, `update public.t set info = '${node}' where id = 1`);
      await mesh.sql(mesh.nodes[last - place] ?? '', `update public.t set info = '${mesh.nodes[last - place] ?? ''}' where id = 2`); // prettier-ignore
      if (place === last) await mesh.sql(node, 'delete from public.t where id = 3');
      else await mesh.sql(node, `update public.t set info = '${node}' where id = 3`);
      await mesh.sql(node, `insert into public.t values (50, ${place}, '${node}')`);
    }
    await using daemon = await replaying(mesh);
    await sameEverywhere(mesh);
    const rows = 'select id, info from public.t where id in (1, 2, 3, 50) order by id';
    expect(await mesh.sql(mesh.nodes[0] ?? '', rows)).toEqual([
      { id: 1, info: mesh.nodes[last] },
      { id: 2, info: mesh.nodes[0] },
      { id: 50, info: mesh.nodes[last] },
    ]);
    await untilIdle(mesh);
    expect(daemon.running).toBe(true);
  });

  test('G5: a TRUNCATE at one end empties all nodes, but for what was written after it at the other', async () => {
    await using mesh = await laid(topology, 'emptied');
    const first = mesh.nodes[0] ?? '';
    const last = mesh.nodes.at(-1) ?? '';
    await mesh.sql(first, "update public.t set info = 'before' where id = 1; truncate public.t");
    await mesh.sql(
      last,
      "update public.t set info = 'after' where id in (2, 3); insert into public.t values (70, 0, 'after')",
    );
    await using daemon = await replaying(mesh);
    await sameEverywhere(mesh);
    await untilIdle(mesh);
    const rows = 'select id, info from public.t order by id';
    expect(await mesh.sql(first, rows)).toEqual([2, 3, 70].map((id) => ({ id, info: 'after' })));
    await mesh.sql(last, 'truncate public.t');
    expect(await sameEverywhere(mesh, rows)).toEqual([]);
    await mesh.sql(first, "insert into public.t values (1, 0, 'again')");
    expect(await sameEverywhere(mesh, rows)).toEqual([{ id: 1, info: 'again' }]);
    await untilForgotten(mesh);
    expect(daemon.running).toBe(true);
  });

  test('G5: all nodes agree on what a policy function makes of concurrent changes', async () => {
    await using mesh = await laid(topology, 'made', {
      policy: 'function',
      policyFunction: { schema: 'public', name: 'most' },
    });
    for (const [place, node] of mesh.nodes.entries()) {
      const n = [100, 400, 200, 300][place] ?? 0;
      await mesh.sql(node, `update public.t set n = ${n}, info = '${['m', 'k', 'z', 'l'][place] ?? ''}' where id = 1`);
    }
    await using daemon = await replaying(mesh);
    const rows = 'select n, info from public.t where id = 1';
    expect(await sameEverywhere(mesh, rows)).toEqual([{ n: 400, info: 'z' }]);
    await untilIdle(mesh);
    expect(await sameEverywhere(mesh, rows)).toEqual([{ n: 400, info: 'z' }]);
    await mesh.sql(mesh.nodes.at(-1) ?? '', "update public.t set n = 1, info = 'a' where id = 1");
    await waitFor(async () => JSON.stringify(await sameEverywhere(mesh, rows)) === '[{"n":1,"info":"a"}]', {
      what: 'a later change',
    });
    await untilForgotten(mesh);
    expect(daemon.running).toBe(true);
  });

  test('G6: changes that follow each other from node to node are no conflicts', async () => {
    await using mesh = await laid(topology, 'order');
    await using daemon = await replaying(mesh);
    const nodes = mesh.nodes.length;
    for (let turn = 0; turn < 2 * nodes; turn += 1) {
      const node = mesh.nodes[(turn * (nodes - 1)) % nodes] ?? '';
      await mesh.sql(node, `update public.t set n = ${turn}, info = info || ' ${node}' where id <= 5`);
      if (turn % 2 === 0) await mesh.sql(node, `delete from public.t where id = 6`);
      else await mesh.sql(node, `insert into public.t values (6, ${turn}, '${node}')`);
      await sameEverywhere(mesh);
    }
    await expectNoConflicts(mesh);
    expect(daemon.running).toBe(true);
  });
});

test('G6: a change that overtakes the one it follows, through a third node, is no conflict', async () => {
  await using mesh = await laid(mesh3, 'overtakes');

  await mesh.sql('a', "update public.t set info = 'a' where id in (1, 2); delete from public.t where id = 3; insert into public.t values (60, 0, 'a')"); // prettier-ignore
  {
    await using toB = await replaying(mesh, '--to', 'b');
    await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b'], to: 'b' });
    expect(toB.running).toBe(true);
  }
  await mesh.sql('b', "update public.t set info = info || ' b' where id in (1, 60); delete from public.t where id = 2; insert into public.t values (3, 0, 'b')"); // prettier-ignore
  {
    await using fromB = await replaying(mesh, '--from', 'b');
    await waitFor(async () => (await mesh.sql('c', "select from public.t where info = 'a b'")).length === 2, { what: 'the changes of b at c' }); // prettier-ignore
    expect(fromB.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  await untilIdle(mesh);
  expect(await mesh.sql('c', 'select id, info from public.t where id in (1, 2, 3, 60) order by id')).toEqual([
    { id: 1, info: 'a b' },
    { id: 3, info: 'b' },
    { id: 60, info: 'a b' },
  ]);
  await expectNoConflicts(mesh);
  expect(daemon.running).toBe(true);
});

test('G6: changes built on each other from node to node are no conflict, whichever arrives first', async () => {
  await using mesh = await laid(mesh3, 'built');
  const hop = async (from: string, to: string, query: string, found: string): Promise<void> => {
    await using daemon = await replaying(mesh, '--from', from, '--to', to);
    await waitFor(async () => JSON.stringify(await mesh.sql(to, query)) === found, { what: `the changes of ${from} at ${to}` }); // prettier-ignore
    expect(daemon.running).toBe(true);
  };
  const rows = 'select id, info from public.t where id <= 3 order by id';
  // Keys 1, 2 and 3 are updated at each node, or deleted at one of them. Links a to c and b to a bring nothing meanwhile.
  await mesh.sql('a', "update public.t set info = 'a' where id <= 2; delete from public.t where id = 3");
  await hop('a', 'b', rows, '[{"id":1,"info":"a"},{"id":2,"info":"a"}]');
  await mesh.sql('b', "update public.t set info = info || ' b' where id = 1; delete from public.t where id = 2; insert into public.t values (3, 0, 'b')"); // prettier-ignore
  await hop('b', 'c', rows, '[{"id":1,"info":"a b"},{"id":3,"info":"b"}]');
  await mesh.sql('c', "update public.t set info = info || ' c' where id = 1; insert into public.t values (2, 0, 'c'); delete from public.t where id = 3"); // prettier-ignore
  await hop('c', 'a', rows, '[{"id":1,"info":"a b c"},{"id":2,"info":"c"}]');
  await using daemon = await replaying(mesh);
  await sameEverywhere(mesh);
  await untilIdle(mesh);
  expect(await mesh.sql('b', rows)).toEqual([
    { id: 1, info: 'a b c' },
    { id: 2, info: 'c' },
  ]);
  await expectNoConflicts(mesh);
  await untilForgotten(mesh);
  expect(daemon.running).toBe(true);
});

test('G5: a TRUNCATE that a hub passes on deletes nothing newer that the hub has passed on before', async () => {
  await using mesh = await laid(star, 'passed_on');
  // Node z's TRUNCATE is on its way to the hub while the hub's rows, written later, reach the other nodes.
  await mesh.sql('z', 'truncate public.t');
  await mesh.sql(
    'hub',
    "update public.t set info = 'later' where id <= 2; insert into public.t values (30, 0, 'later')",
  );
  {
    await using toX = await replaying(mesh, '--from', 'hub', '--to', 'x');
    await sameEverywhere(mesh, wholeTable, { nodes: ['hub', 'x'], to: 'x' });
    await untilForgotten(mesh, ['x']);
    expect(toX.running).toBe(true);
  }
  await using daemon = await replaying(mesh);
  const rows = 'select id, info from public.t order by id';
  expect(await sameEverywhere(mesh, rows)).toEqual([1, 2, 30].map((id) => ({ id, info: 'later' })));
  await untilForgotten(mesh);
  expect(daemon.running).toBe(true);
});

/** Waits until no link has committed a batch for five seconds, which is five looks of each. */
async function untilIdle(mesh: Mesh): Promise<void> {
  let before = '';
  let since = Date.now();
  await waitFor(
    async () => {
      const now = JSON.stringify(await mesh.everywhere('select source, epoch from pgrep.position order by source'));
      if (now !== before) since = Date.now();
      before = now;
      return Date.now() - since >= 5_000;
    },
    { what: 'five seconds without a batch', deadlineMs: 60_000, everyMs: 200 },
  );
}

/** Waits until none of the nodes keeps the version of any row. */
async function untilForgotten(mesh: Mesh, nodes = mesh.nodes): Promise<void> {
  const sidecar = 'select count(*)::integer as n from pgrep.row_version_1';
  await waitFor(async () => (await Promise.all(nodes.map((node) => mesh.sql(node, sidecar)))).every(([row]) => row?.['n'] === 0), { what: 'sidecars that are empty', deadlineMs: 60_000, everyMs: 200 }); // prettier-ignore
}
