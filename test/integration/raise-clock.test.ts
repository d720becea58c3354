import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { initNodes } from '../../src/app/init.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { Mesh } from './mesh.ts';

let server: PostgresServer;
let mesh: Mesh;
let sessions: readonly [pg.Client, pg.Client, pg.Client];
beforeAll(async () => {
  server = await startPostgres({ name: 'clock' });
  mesh = await Mesh.create(server, 'clock', { nodes: ['a'], sql: 'select' });
  await using app = mesh.app();
  await initNodes(app, { dryRun: false }, new AbortController().signal);
});
afterAll(async () => {
  await mesh[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await mesh.sql('a', "select pg_catalog.setval('pgrep.clock', 0)");
  sessions = [await open(), await open(), await open()];
});
afterEach(async () => {
  await Promise.all(sessions.map((session) => session.end()));
});

async function open(): Promise<pg.Client> {
  // What waits in vain fails by itself.
  const client = new pg.Client({ connectionString: mesh.url('a'), statement_timeout: 30_000 });
  await client.connect();
  return client;
}

/** Raises the clock to a version of this time, in microseconds, which is long past. */
async function raise(session: pg.Client, micros: number): Promise<void> {
  await session.query('select pgrep.raise_clock($1::bigint << 8 | 3, 0)', [micros]);
}

async function clock(): Promise<number> {
  const [row] = await mesh.sql('a', "select pg_catalog.pg_sequence_last_value('pgrep.clock')::integer as micros");
  return Number(row?.['micros']);
}

/** Sessions that wait for an advisory lock. */
async function waiting(count: number): Promise<void> {
  const query = "select from pg_catalog.pg_locks where locktype = 'advisory' and not granted";
  await waitFor(async () => (await mesh.sql('a', query)).length === count, { what: `${count} sessions to wait for their turn` }); // prettier-ignore
}

test('the clock is raised to a higher time and never set back to a lower one, whichever session comes first', async () => {
  const [one, other] = sessions;
  for (const [session, micros, wanted] of [
    [one, 1_000, 1_000],
    [other, 3_000, 3_000],
    [one, 2_000, 3_000],
    [other, 3_000, 3_000],
    [other, 2_999, 3_000],
    [one, 3_001, 3_001],
  ] as const) {
    await raise(session, micros);
    expect(await clock()).toBe(wanted);
  }
  await one.query('select pgrep.raise_clock(null, 0)');
  expect(await clock()).toBe(3_001);
});

test.each([
  ['the lower', 1_000, 2_000],
  ['the higher', 2_000, 1_000],
])(
  'of two sessions that raise it at once, each having found it lower, %s first, the higher time stays',
  async (_, first, second) => {
    const [one, other, between] = sessions;
    await between.query('select pg_catalog.pg_advisory_lock(482770018674)');
    const raised = [raise(one, first)];
    await waiting(1);
    raised.push(raise(other, second));
    await waiting(2);
    expect(await clock()).toBe(0);
    await between.query('select pg_catalog.pg_advisory_unlock(482770018674)');
    await Promise.all(raised);
    expect(await clock()).toBe(2_000);
  },
);

test('a raise within a transaction counts at once, holds up nobody, and stays when that is rolled back', async () => {
  const [one, other] = sessions;
  await one.query('begin');
  await raise(one, 2_000);
  expect(await clock()).toBe(2_000);
  await raise(other, 1_000);
  await raise(other, 3_000);
  await raise(one, 4_000);
  await one.query('rollback');
  expect(await clock()).toBe(4_000);
  await raise(other, 3_500);
  expect(await clock()).toBe(4_000);
});

test('a version further ahead of the server’s clock than is allowed raises nothing and leaves no lock', async () => {
  const [one, other] = sessions;
  const ahead = "select pgrep.raise_clock(((extract(epoch from clock_timestamp()) + 60) * 1000000)::bigint << 8 | 3, 10000)"; // prettier-ignore
  await expect(one.query(ahead)).rejects.toMatchObject({ code: 'PGC01' });
  expect(await clock()).toBe(0);
  await raise(other, 1_000);
  expect(await clock()).toBe(1_000);
});
