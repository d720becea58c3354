import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSession } from '../../src/db/session.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'session' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('statements that are asked for at once are answered in order, whatever becomes of others, and the driver warns of nothing', async () => {
  const warnings: string[] = [];
  const warned = ({ message }: Error): number => warnings.push(message);
  process.on('warning', warned);
  try {
    await using session = await openSession({ node: 'a', url: server.url() });
    const made = session.script('create temp table t (i integer)');
    const failed = session.query('select 1 / $1::integer', ['0']);
    const filled = session.query('insert into t values (1), (2)');
    const copied = text(session.copyOut('copy t to stdout', 'update t set i = i * 10'));
    const counted = session.query('select sum(i)::text as sum from t');
    // A COPY that is not wanted any more is not sent, and one that fails does not stand in the way.
    session.copyOut('copy (delete from t returning i) to stdout').destroy();
    const refused = text(session.copyOut('copy t to stdout', 'select 1 / 0'));
    const last = session.query('select count(*)::text as n from t');
    await expect(failed).rejects.toThrow('division by zero');
    await expect(refused).rejects.toThrow('division by zero');
    await Promise.all([made, filled]);
    expect(await copied).toBe('10\n20\n');
    expect((await counted).rows).toEqual([{ sum: '30' }]);
    expect((await last).rows).toEqual([{ n: '2' }]);
  } finally {
    process.off('warning', warned);
  }
  expect(warnings).toEqual([]);
});
