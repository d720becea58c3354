import { afterAll, beforeAll, expect, test } from 'vitest';
import { Mesh, tableSql } from '../integration/mesh.ts';
import type { PgrepProcess } from '../support/daemon.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { expectNoConflicts, replaying, sameEverywhere, wholeTable } from './all-nodes.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'joining' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const digest = `select count(*)::integer as rows, md5(string_agg(t::text, ',' order by t.id)) as sum from public.t t`;

/** Random inserts, updates and deletes at one node until it is told to stop; few keys are everybody's, most are its own. */
class Writer {
  readonly #mesh: Mesh;
  readonly #node: string;
  readonly #base: number;
  #going = true;
  #ended: Promise<void>;
  written = 0;

  constructor(mesh: Mesh, node: string, base: number) {
    this.#mesh = mesh;
    this.#node = node;
    this.#base = base;
    this.#ended = this.#write();
  }

  async #write(): Promise<void> {
    for (let step = 0; this.#going; step += 1) {
      const own = this.#base + (step % 400);
      const shared = (step * 7) % 10;
      const text =
        [
          `insert into public.t values (${own}, ${step}, '${this.#node}') on conflict (id) do update set n = excluded.n, info = excluded.info`,
          `update public.t set n = ${step}, info = '${this.#node}' where id = ${shared}`,
          `delete from public.t where id = ${this.#base + ((step * 3) % 400)}`,
          `insert into public.t values (${shared}, ${step}, '${this.#node} again') on conflict (id) do nothing`,
          `update public.t set n = n + 1 where id between ${own - 20} and ${own}`,
          `delete from public.t where id = ${shared}`,
        ][step % 6] ?? '';
      await this.#mesh.sql(this.#node, text);
      this.written += 1;
    }
  }

  async stop(): Promise<void> {
    this.#going = false;
    await this.#ended;
  }
}

async function settle(mesh: Mesh, nodes: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await mesh.pgrep('wait', '--timeout', '60');
  expect([code, `${stdout}${stderr}`]).toEqual([0, expect.any(String)]);
  await waitFor(
    async () => {
      const sums = await Promise.all(nodes.map(async (node) => JSON.stringify(await mesh.sql(node, digest))));
      return new Set(sums).size === 1;
    },
    { what: `equal rows at ${nodes.join(', ')}`, deadlineMs: 60_000 },
  );
}

async function untilWritten(writer: Writer, more: number): Promise<void> {
  const goal = writer.written + more;
  await waitFor(() => Promise.resolve(writer.written >= goal), { what: `${more} more statements`, deadlineMs: 60_000 });
}

test('G2, G5: a third node joins two that are written all the while, is written itself at once, and all become equal', async () => {
  await using mesh = await Mesh.create(server, 'third', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, 'row ' || i from generate_series(1, 30000) i");
  await mesh.add({ to: ['b'] });
  await using daemon = mesh.spawn('run');
  const writers = [new Writer(mesh, 'a', 100_000), new Writer(mesh, 'b', 200_000)];
  await Promise.all(writers.map((writer) => untilWritten(writer, 300)));
  const joined = mesh.add({ to: ['b', 'c'] });
  await waitFor(
    async () =>
      (await mesh.sql('c', "select to_regclass('pgrep.queue_1') is not null as there"))[0]?.['there'] === true,
    { what: 'capture at c', deadlineMs: 60_000 },
  );
  writers.push(new Writer(mesh, 'c', 300_000));
  await joined;
  await Promise.all(writers.map((writer) => untilWritten(writer, 300)));
  for (const writer of writers) await writer.stop();
  await settle(mesh, ['a', 'b', 'c']);
  const errors = await mesh.everywhere('select reason, message, key from pgrep.sync_err_rec');
  expect(Object.values(errors).flat()).toEqual([]);
  expect(daemon.running).toBe(true);
});

test('G5: two nodes with different rows are merged while both are written; rows of both survive', async () => {
  await using mesh = await Mesh.create(server, 'merged', { nodes: ['a', 'b'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, 1, 'a' from generate_series(1, 20000) i");
  await mesh.sql('b', "insert into public.t select i, 2, 'b' from generate_series(10001, 30000) i");
  await using daemon = mesh.spawn('run');
  const writers = [new Writer(mesh, 'a', 100_000), new Writer(mesh, 'b', 200_000)];
  await mesh.add({ to: ['b'], merge: true });
  await Promise.all(writers.map((writer) => untilWritten(writer, 200)));
  for (const writer of writers) await writer.stop();
  await settle(mesh, ['a', 'b']);
  const rows =
    'select info, count(*)::integer as n from public.t where id between 1000 and 30000 and n in (1, 2) group by info order by info';
  expect(await mesh.sql('a', rows)).toEqual([
    { info: 'a', n: 9001 },
    { info: 'b', n: 20000 },
  ]);
  expect(daemon.running).toBe(true);
});

test('G5: a chain passes changes on both ways, with a node joining at its end under load', async () => {
  await using mesh = await Mesh.create(server, 'chain', { nodes: ['a', 'b', 'c', 'd'], sql: tableSql });
  await mesh.sql('b', "insert into public.t select i, i, 'row ' || i from generate_series(1, 5000) i");
  await mesh.add({ from: 'b', to: ['a', 'c'], forward: true });
  await using daemon = mesh.spawn('run');
  const writers = [new Writer(mesh, 'a', 100_000), new Writer(mesh, 'c', 300_000)];
  await Promise.all(writers.map((writer) => untilWritten(writer, 200)));
  await mesh.add({ from: 'c', to: ['d'], forward: true });
  writers.push(new Writer(mesh, 'd', 400_000));
  await Promise.all(writers.map((writer) => untilWritten(writer, 200)));
  for (const writer of writers) await writer.stop();
  await settle(mesh, ['a', 'b', 'c', 'd']);
  expect(daemon.running).toBe(true);
});

test('G2: what a member has not sent to anyone yet reaches a node that joins meanwhile', async () => {
  await using mesh = await Mesh.create(server, 'unsent', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, 'a' from generate_series(1, 100) i");
  await mesh.add({ to: ['b'] });
  // Nobody replays: a hears of this only after its rows were copied to c.
  await mesh.sql('b', "update public.t set info = 'b' where id <= 50; delete from public.t where id > 90");
  await mesh.add({ to: ['b', 'c'] });
  await using daemon = mesh.spawn('run');
  await settle(mesh, ['a', 'b', 'c']);
  expect(
    await mesh.sql(
      'c',
      "select count(*)::integer as n, count(*) filter (where info = 'b')::integer as b from public.t",
    ),
  ).toEqual([{ n: 90, b: 50 }]);
  expect(daemon.running).toBe(true);
});

test('G5: a row that all members have deleted does not stay at a node that brings it along', async () => {
  await using mesh = await Mesh.create(server, 'graves', { nodes: ['a', 'b', 'c'], sql: tableSql });
  const rows = "insert into public.t select i, i, 'old' from generate_series(1, 100) i";
  await mesh.sql('a', rows);
  await mesh.sql('c', rows);
  await mesh.add({ to: ['b'] });
  await using first = mesh.spawn('run');
  await mesh.sql('b', 'delete from public.t where id <= 10');
  await settle(mesh, ['a', 'b']);
  await first[Symbol.asyncDispose]();
  await mesh.add({ to: ['b', 'c'], merge: true });
  await using daemon = mesh.spawn('run');
  await settle(mesh, ['a', 'b', 'c']);
  expect(daemon.running).toBe(true);
});

test('G2: a one-way target beside gets what arrives from peers, also when it is added under load', async () => {
  await using mesh = await Mesh.create(server, 'beside', { nodes: ['a', 'b', 'copy'], sql: tableSql });
  await mesh.add({ to: ['b'] });
  await using daemon = mesh.spawn('run');
  const writers = [new Writer(mesh, 'a', 100_000), new Writer(mesh, 'b', 200_000)];
  await Promise.all(writers.map((writer) => untilWritten(writer, 200)));
  await mesh.add({ from: 'b', to: ['copy'], twoWay: false });
  await Promise.all(writers.map((writer) => untilWritten(writer, 200)));
  for (const writer of writers) await writer.stop();
  await settle(mesh, ['a', 'b', 'copy']);
  expect(daemon.running).toBe(true);
});

test('G2: add-table killed again and again goes on where it was, under load, with a daemon that finishes its copies', async () => {
  await using mesh = await Mesh.create(server, 'killed', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, 'row ' || i from generate_series(1, 50000) i");
  await using daemon = mesh.spawn('run');
  const first = new Writer(mesh, 'a', 100_000);
  const writers = [first];
  const interrupted: boolean[] = [];
  const command = ['add-table', 'public.t', '--to', 'b,c', '--two-way'];
  for (const steps of [150, 250, 350, 450, 550, 650]) {
    await using killed = mesh.spawn(...command);
    await untilWritten(first, steps);
    // Killed with -9 by being disposed of.
    interrupted.push(killed.running);
  }
  await waitFor(async () => (await mesh.pgrep(...command)).code === 0, {
    what: 'the command to end well, once nobody else copies the table',
    deadlineMs: 60_000,
  });
  expect(interrupted).toContain(true);
  writers.push(new Writer(mesh, 'b', 200_000), new Writer(mesh, 'c', 300_000));
  await Promise.all(writers.map((writer) => untilWritten(writer, 100)));
  for (const writer of writers) await writer.stop();
  await settle(mesh, ['a', 'b', 'c']);
  expect(daemon.running).toBe(true);
});

test('G5: rows that a new node brings along outlive a TRUNCATE that came long before it', async () => {
  await using mesh = await Mesh.create(server, 'emptied', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('c', "insert into public.t select i, i, 'c' from generate_series(1, 100) i");
  await mesh.add({ to: ['b'] });
  await mesh.sql(
    'a',
    "insert into public.t values (1000, 1, 'gone'); truncate public.t; insert into public.t values (1001, 1, 'a')",
  );
  await expect(mesh.add({ to: ['b', 'c'], merge: true })).rejects.toMatchObject({
    code: 'no',
    message: expect.stringMatching(/every node has seen the last TRUNCATE/) as string,
  });
  await using daemon = mesh.spawn('run');
  await settle(mesh, ['a', 'b']);
  await waitFor(
    async () => (await mesh.pgrep('add-table', 'public.t', '--to', 'b,c', '--two-way', '--merge')).code === 0,
    { what: 'all to know of the TRUNCATE', deadlineMs: 60_000 },
  );
  await settle(mesh, ['a', 'b', 'c']);
  expect(await mesh.sql('b', 'select count(*)::integer as n from public.t')).toEqual([{ n: 101 }]);
  expect(daemon.running).toBe(true);
});

const gated = `create table public.big (id integer primary key, info text); create table public.gate (shut integer);
  create function public.gate() returns trigger language plpgsql as $$ begin
    while exists (select from public.gate) loop perform pg_catalog.pg_sleep(0.02); end loop; return new; end $$`;

/** Node a's table public.big, ten rows that nobody has changed, is being added to node b; the first row of the copy waits at b until public.gate is empty. */
async function copying(mesh: Mesh): Promise<PgrepProcess> {
  await mesh.sql('a', "insert into public.big select i, 'of a' from generate_series(1, 10) i");
  await mesh.sql('b', `insert into public.gate values (1);
    create trigger gate before insert on public.big for each row when (new.info = 'of a') execute function public.gate(); alter table public.big enable always trigger gate`); // prettier-ignore
  const adding = mesh.spawn('add-table', 'public.big', '--to', 'b', '--two-way');
  await waitFor(async () => (await mesh.sql('b', 'select from pgrep.table_position where table_id is not null and not copied')).length > 0, { what: 'the copy to begin' }); // prettier-ignore
  return adding;
}

test('G6: while another table is being copied, changes that follow each other are no conflicts, and those of the copied table are', async () => {
  await using mesh = await Mesh.create(server, 'gated', { nodes: ['a', 'b'], sql: `${tableSql}; ${gated}` });
  await mesh.sql('a', "insert into public.t values (1, 0, '')");
  await mesh.add({ to: ['b'] });
  await using daemon = await replaying(mesh);
  await using adding = await copying(mesh);
  for (const [turn, node] of ['a', 'b', 'a', 'b'].entries()) {
    await mesh.sql(node, `update public.t set n = ${turn}, info = info || '${node}'`);
    await sameEverywhere(mesh, wholeTable, { to: null });
  }
  await expectNoConflicts(mesh);
  // Node b has not got the rows of a yet: what both write of them is concurrent, whoever hears of it first.
  await mesh.sql('a', "update public.big set info = 'a again' where id = 1");
  await mesh.sql('b', "insert into public.big values (1, 'of b'), (2, 'of b')");
  expect(adding.running).toBe(true);
  await mesh.sql('b', 'delete from public.gate');
  expect((await adding.exit()).code).toBe(0);
  const ofB = [1, 2].map((id) => ({ id, info: 'of b' }));
  expect(await sameEverywhere(mesh, 'select id, info from public.big where id <= 2 order by id')).toEqual(ofB);
  const found = Object.values(await mesh.everywhere('select key[1] as key from pgrep.conflict')).flat();
  expect([...new Set(found.map(({ key }) => key))].toSorted()).toEqual(['1', '2']);
  await waitFor(async () => Object.values(await mesh.everywhere('select from pgrep.peer_copying union all select from pgrep.row_version_2 union all select from pgrep.row_version_1')).flat().length === 0, { what: 'versions to be forgotten after the copy', deadlineMs: 60_000 }); // prettier-ignore
  expect(daemon.running).toBe(true);
});

test('G6: a TRUNCATE at a node that has not got the rows yet empties the table everywhere, and they are recorded', async () => {
  await using mesh = await Mesh.create(server, 'truncated', { nodes: ['a', 'b'], sql: `${tableSql}; ${gated}` });
  await mesh.add({ to: ['b'] });
  await using daemon = await replaying(mesh);
  await using adding = await copying(mesh);
  await mesh.sql('b', 'truncate public.big');
  await mesh.sql('b', 'delete from public.gate');
  expect((await adding.exit()).code).toBe(0);
  expect(await sameEverywhere(mesh, 'select id from public.big')).toEqual([]);
  const found = await mesh.everywhere(
    "select key[1]::integer as key from pgrep.conflict where kind = 'truncate/write'",
  );
  const keys = [...new Set(Object.values(found).flatMap((rows) => rows.map(({ key }) => Number(key))))];
  expect(keys.toSorted((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(daemon.running).toBe(true);
});

test('G6: a change that its link has passed, but that comes with the copied table later, is concurrent with what was written there meanwhile', async () => {
  await using mesh = await Mesh.create(server, 'late', { nodes: ['a', 'b'], sql: `${tableSql}; ${gated}` });
  await mesh.add({ to: ['b'] });
  await using daemon = await replaying(mesh, '--from', 'a');
  await using adding = await copying(mesh);
  const waiting = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
  await waitFor(async () => (await mesh.sql('b', waiting)).length > 0, { what: 'the copy to wait' });
  await mesh.sql('a', "update public.big set info = 'a, later' where id = 5");
  // The link goes on with its other table.
  await mesh.sql('a', "insert into public.t values (1, 0, '')");
  expect(await sameEverywhere(mesh, 'select id from public.t', { to: null })).toEqual([{ id: 1 }]);
  await mesh.sql('b', "insert into public.big values (5, 'b, last')");
  await mesh.sql('b', 'delete from public.gate');
  expect((await adding.exit()).code).toBe(0);
  await waitFor(async () => (await mesh.sql('b', 'select from pgrep.table_position')).length === 0, { what: 'the table to join its link' }); // prettier-ignore
  const lost = await mesh.sql(
    'b',
    "select distinct remote_row ->> 'info' as info from pgrep.conflict where key = '{5}'",
  );
  expect(lost).toContainEqual({ info: 'a, later' });
  await using back = await replaying(mesh, '--from', 'b');
  expect(await sameEverywhere(mesh, 'select info from public.big where id = 5')).toEqual([{ info: 'b, last' }]);
  expect(back.running).toBe(true);
  expect(daemon.running).toBe(true);
});

test('versions of copied rows are forgotten by all nodes also where nobody writes', async () => {
  await using mesh = await Mesh.create(server, 'quiet', { nodes: ['a', 'b', 'c'], sql: tableSql });
  await mesh.sql('a', "insert into public.t select i, i, '' from generate_series(1, 3000) i");
  await mesh.add({ to: ['b', 'c'] });
  expect((await mesh.sql('b', 'select from pgrep.row_version_1')).length).toBe(3000);
  await using daemon = await replaying(mesh);
  const kept = 'select from pgrep.row_version_1 union all select from pgrep.peer_copying';
  const forgotten = async (): Promise<boolean> => Object.values(await mesh.everywhere(kept)).flat().length === 0;
  await waitFor(forgotten, { what: 'versions to be forgotten', deadlineMs: 60_000 });
  expect(daemon.running).toBe(true);
});

test('G6: what a hub has not got yet of a table that it copies from a new node is not taken for seen by its other nodes', async () => {
  await using mesh = await Mesh.create(server, 'behind', { nodes: ['a', 'b', 'd'], sql: `${tableSql}; ${gated}` });
  const big = { table: { schema: 'public', name: 'big' } };
  await mesh.add({ to: ['b', 'd'], forward: true });
  await mesh.add({ to: ['b'], forward: true, ...big });
  await using hub = await replaying(mesh, '--from', 'a');
  await using joining = await replaying(mesh, '--from', 'd');
  // The copy of what d brings along waits at a.
  await mesh.sql('d', "insert into public.big values (1, 'of d')");
  await mesh.sql('a', `insert into public.gate values (1);
    create trigger gate before insert on public.big for each row when (new.info = 'of d') execute function public.gate(); alter table public.big enable always trigger gate`); // prettier-ignore
  await using adding = mesh.spawn('add-table', 'public.big', '--to', 'd', '--two-way', '--merge');
  const waiting = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
  await waitFor(async () => (await mesh.sql('a', waiting)).length > 0, { what: 'the copy to wait' });
  await mesh.sql('d', "insert into public.big values (5, 'd, first')");
  // The links go on with their other table, so that a, and b by way of it, has seen later transactions of d.
  await mesh.sql('d', "insert into public.t values (1, 0, '')");
  expect(await sameEverywhere(mesh, 'select id from public.t', { to: null })).toEqual([{ id: 1 }]);
  await mesh.sql('b', "insert into public.big values (5, 'b, last')");
  await mesh.sql('a', 'delete from public.gate');
  expect((await adding.exit()).code).toBe(0);
  await using back = await replaying(mesh, '--from', 'b');
  expect(await sameEverywhere(mesh, 'select info from public.big where id = 5')).toEqual([{ info: 'b, last' }]);
  const rows = "select key, local_row ->> 'info' as local, remote_row ->> 'info' as remote from pgrep.conflict";
  const found = Object.values(await mesh.everywhere(rows)).flat();
  expect(found.flatMap(({ local, remote }) => [local, remote])).toContain('d, first');
  expect([hub, joining, back].map(({ running }) => running)).toEqual([true, true, true]);
});

test('G5: a TRUNCATE that comes to a joining node takes along no row that was written after it, whoever wrote that key before', async () => {
  await using mesh = await Mesh.create(server, 'again', { nodes: ['a', 'b', 'c', 'd'], sql: tableSql });
  await mesh.add({ to: ['b', 'c'], forward: true });
  await using daemon = await replaying(mesh);
  await mesh.sql('a', "insert into public.t select i, i, 'a' from generate_series(1, 5) i");
  await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b', 'c'] });
  await mesh.sql('b', 'truncate public.t');
  await mesh.sql('b', "insert into public.t select i, i, 'b' from generate_series(1, 5) i");
  await sameEverywhere(mesh, wholeTable, { nodes: ['a', 'b', 'c'] });
  const kept = 'select from pgrep.row_version_1';
  await waitFor(async () => (await mesh.sql('a', kept)).length === 0, { what: 'a to forget the versions of the rows', deadlineMs: 30_000 }); // prettier-ignore
  daemon.kill('SIGTERM');
  await daemon.exit();
  // What b and c have is noted every few seconds only, so that the queue of a may still count as not seen by them.
  await mesh.sql('a', "update pgrep.link_state set confirmed = '3:3:'");
  expect(await mesh.sql('a', 'select from pgrep.queue_1 where truncated')).toHaveLength(1);
  await mesh.add({ to: ['d'], forward: true });
  await using again = await replaying(mesh);
  expect(await sameEverywhere(mesh, 'select count(*)::integer as rows from public.t')).toEqual([{ rows: 5 }]);
  await sameEverywhere(mesh);
  await expectNoConflicts(mesh);
  expect(again.running).toBe(true);
});
