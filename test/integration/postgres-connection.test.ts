import { expect, it } from 'vitest';
import { openTargetConnection } from '../../src/targets/postgres/connection.ts';
import { startPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

it('answers every call of a pipeline with an error when the target went away while the link was idle (G7)', async () => {
  await using server = await startPostgres({ name: 'gone' });
  const connection = await openTargetConnection({ node: 'remote', url: server.url() });
  await connection.script('create temp table stage (a integer)');
  await server.stop('fast');
  await waitFor(() => connection.closed, { what: 'the closed connection to be noticed' });
  const calls = [connection.script('begin'), connection.copyIn('copy stage from stdin'), connection.script('commit')];
  const ends = await Promise.allSettled(calls);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  connection.destroy();
});

it('answers every call of a pipeline with an error when the target goes away under it (G7)', async () => {
  await using server = await startPostgres({ name: 'cut' });
  const connection = await openTargetConnection({ node: 'remote', url: server.url() });
  await connection.script('create temp table stage (a integer)');
  const calls = [
    connection.script('select pg_sleep(60)'),
    connection.copyIn('copy stage from stdin'),
    connection.script('commit'),
  ];
  const ends = Promise.allSettled(calls);
  await server.kill();
  expect((await ends).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  connection.destroy();
});
