import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitForTargets } from '../../src/index.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';
import { connect, never, one, Pair } from './replay-pair.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'position' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A second client of a pair's source. */
async function another(pair: Pair): Promise<pg.Client> {
  const [name = ''] = await one(pair.source, 'select current_database()');
  return connect(server.url(name));
}

const pairSql = 'create table t (id int primary key, x int)';

describe('G2: nothing is lost', () => {
  test('a transaction open across hundreds of batches delays nobody and arrives when it commits', async () => {
    await using pair = await Pair.open({ server, sql: pairSql, maxBatchRows: 5 });
    await pair.add('t');
    pair.run();
    const open = await another(pair);
    await open.query(
      'begin; insert into t values (-1, 0); savepoint s; insert into t values (-2, 0); rollback to s; insert into t values (-3, 0)',
    );
    const before = pair.batches.length;
    for (let i = 1; i <= 210; i += 1) {
      await pair.source.query('insert into t values ($1, $1)', [i]);
      await waitFor(() => pair.batches.length >= before + i, { what: `batch ${i}`, everyMs: 5 });
    }
    await pair.settle();
    expect(pair.batches.length - before).toBeGreaterThanOrEqual(210);
    expect(await one(pair.target, 'select count(*)::text || min(id)::text from t')).toEqual(['2101']);
    await open.query('commit');
    await pair.settle();
    expect((await pair.expectEqual('t')).length).toBe(212);
    await open.end();
  }, 120_000);

  test('10,000 transactions committed on eight connections while the replayer reads all arrive', async () => {
    await using pair = await Pair.open({ server, sql: pairSql });
    await pair.add('t');
    pair.run();
    const clients = await Promise.all(Array.from({ length: 8 }, () => another(pair)));
    await Promise.all(
      clients.map(async (client, number) => {
        await client.query('set synchronous_commit = off');
        // One round trip for many transactions: what is measured here is the reader, not the network.
        for (let i = 0; i < 125; i += 1) {
          const first = number * 1_250 + i * 10;
          await client.query(
            Array.from({ length: 10 }, (_, k) => `begin; insert into t values (${first + k}, ${number}); commit`).join(
              ';',
            ),
          );
        }
        await client.end();
      }),
    );
    await pair.settle();
    expect(await one(pair.target, 'select count(*) from t')).toEqual(['10000']);
    await pair.expectEqual('t');
    expect(pair.batches.length).toBeGreaterThan(2);
  });

  test('prepared transactions arrive when they are committed, whatever was committed between', async () => {
    await using pair = await Pair.open({ server, sql: pairSql });
    await pair.add('t');
    pair.run();
    await pair.source.query(
      "begin; insert into t values (1, 1); prepare transaction 'one'; begin; insert into t values (2, 2); prepare transaction 'two'",
    );
    await pair.change('insert into t values (3, 3)');
    expect(await one(pair.target, 'select id from t order by id')).toEqual(['3']);
    await pair.source.query("rollback prepared 'two'");
    await pair.change("commit prepared 'one'");
    expect(await one(pair.target, 'select id from t order by id')).toEqual(['1', '3']);
  });

  test('transactions of one instant are told apart: with the clock far ahead all versions follow each other by one', async () => {
    await using pair = await Pair.open({ server, sql: pairSql });
    await pair.add('t');
    // Every transaction reads the clock as "its last value": all in the same microsecond, as far as anybody can tell.
    await pair.source.query("select setval('pgrep.clock', 4102444800000000)");
    pair.run();
    const [one1, two] = [await another(pair), await another(pair)];
    await one1.query('begin; insert into t values (1, 1)');
    await two.query('begin; insert into t values (2, 2); update t set x = 3 where id = 2; commit');
    await pair.settle();
    await one1.query('update t set x = 4 where id = 1; commit');
    await pair.settle();
    expect(await pair.expectEqual('t')).toEqual(['(1,4)', '(2,3)']);
    await one1.end();
    await two.end();
  });
});

describe('G4: targets see consistent snapshots', () => {
  test('a reader at the target never sees two tables of a link disagree', async () => {
    await using pair = await Pair.open({
      server,
      sql: 'create table a (id int primary key, amount int); create table b (id int primary key, amount int)',
    });
    await pair.source.query(
      'insert into a select i, 100 from generate_series(1, 20) i; insert into b select i, 100 from generate_series(1, 20) i',
    );
    await pair.add('a', 'b');
    pair.run();
    await pair.settle();
    const reader = await connect(pair.targetUrl);
    const sums = new Set<string>();
    let seen = 0;
    let writing = true;
    const reading = (async (): Promise<void> => {
      while (writing) {
        sums.add(String(await one(reader, 'select (select sum(amount) from a) + (select sum(amount) from b)')));
        seen += 1;
      }
    })();
    const writers = await Promise.all([another(pair), another(pair)]);
    await Promise.all(
      writers.map(async (client, number) => {
        // At least so many, and until the target has got them in many batches, however busy the machine is.
        for (let i = 0; i < 400 || pair.batches.length < 10; i += 1) {
          const [from, to] = [1 + ((i * 7 + number * 3) % 20), 1 + ((i * 11 + number) % 20)];
          await client.query(
            `begin; update a set amount = amount - ${i} where id = ${from}; update b set amount = amount + ${i} where id = ${to}; commit`,
          );
        }
        await client.end();
      }),
    );
    await pair.settle();
    writing = false;
    await reading;
    await reader.end();
    expect([...sums]).toEqual(['4000']);
    expect(seen).toBeGreaterThan(20);
    expect(pair.batches.length).toBeGreaterThanOrEqual(10);
    await pair.expectEqual('a', 'b');
  });

  test('a backlog cut into many batches ends equal', async () => {
    await using pair = await Pair.open({
      server,
      replicaRole: false,
      maxBatchRows: 7,
      sql: 'create table p (id int primary key, x int); create table c (id int primary key, p int references p)',
    });
    await pair.add('p', 'c');
    let seed = 42;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let i = 0; i < 200; i += 1) {
      const id = random(30);
      const action = random(5);
      if (action < 2)
        await pair.source.query(
          `begin; insert into p values (${id}, ${i}) on conflict (id) do update set x = ${i}; insert into c values (${i}, ${id}); commit`,
        );
      if (action === 2)
        await pair.source.query(`begin; delete from c where p = ${id}; delete from p where id = ${id}; commit`);
      if (action === 3)
        await pair.source.query(
          `insert into p select i, i from generate_series(${id}, ${id + 10}) i on conflict do nothing`,
        );
      if (action === 4) await pair.source.query(`update c set p = (select min(id) from p) where p = ${id}`);
      if (i === 100) await pair.source.query('truncate p, c');
    }
    pair.run();
    await pair.settle();
    // A row whose parent comes in a later batch may be held until then.
    await waitFor(async () => (await pair.errors()).length === 0, { what: 'held rows to be settled' });
    expect((await pair.expectEqual('p', 'c')).length).toBeGreaterThan(5);
    expect(pair.batches.length).toBeGreaterThan(20);
  });
});

test('wait says no while the daemon does not run and yes when all has arrived', async () => {
  await using pair = await Pair.open({ server, sql: pairSql });
  await pair.add('t');
  await pair.source.query('insert into t values (1, 1)');
  expect(await waitForTargets(pair.app, { timeoutSeconds: 0 }, never)).toMatchObject({
    reached: false,
    behind: [{ source: 'local', target: 'remote' }],
  });
  pair.run();
  expect(await waitForTargets(pair.app, { timeoutSeconds: 20 }, never)).toMatchObject({ reached: true });
});
