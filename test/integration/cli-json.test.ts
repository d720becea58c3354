import { afterAll, beforeAll, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/all.ts';
import { Pair } from '../scenario/pair.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'json' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const table = 'public.t';

/** Each command with arguments under which it succeeds in this order, the keys of its result, and its exit status if not 0. */
const answers: readonly (readonly [command: string, args: readonly string[], keys: readonly string[], code?: number])[] = [
  ['config check', [], ['home', 'nodes', 'path']],
  ['config show', [], ['home', 'nodes', 'replayer']],
  ['init', [], ['nodes', 'sql']],
  ['add-table', [table, '--to', 'remote'], ['initialised', 'routes', 'sequences', 'sql', 'warnings']],
  ['copy', [table, '--restart'], ['tables']],
  ['status', [], ['links', 'unreachable']],
  ['wait', ['--timeout', '30'], ['behind', 'reached', 'seconds']],
  ['errors list', [], ['0', '1']],
  ['errors show', ['1'], ['attempts', 'create_time', 'dst_query', 'dst_server', 'id', 'key', 'last_time', 'message', 'next_time', 'nsp_name', 'reason', 'source', 'table_name']],
  ['retry-errors', ['--limit', '1'], ['remaining', 'remainingTotal', 'succeeded', 'target', 'tried'], 3],
  ['errors discard', ['1', '2'], ['0', '1']],
  ['conflicts list', [], ['conflicts', 'unreachable']],
  ['doctor', [], ['findings', 'verdict']],
  ['remove-table', [table], ['captureDropped', 'captureDroppedAt', 'removed', 'sql', 'warnings']],
  ['uninstall', ['--yes'], ['nodes', 'sql']],
]; // prettier-ignore

// `run` prints log lines, each an object; torture, forget-node and the rest of conflicts are shown with two-way routes.
const elsewhere = ['run', 'torture', 'forget-node', 'conflicts show', 'conflicts restore'];

test('every command is here, or said to be elsewhere', () => {
  const here = [...answers.map(([command]) => command), ...elsewhere];
  expect(commands.map(({ path }) => path.join(' ')).filter((path) => !here.includes(path))).toEqual([]);
});

test('with --json every command prints its result as one JSON value on standard output and nothing besides', async () => {
  await using pair = await Pair.create('json', { local: server, remote: server });
  await pair.sql('local', 'create table public.t (id integer primary key, info text)');
  await pair.sql('remote', 'create table public.t (id integer primary key, info text check (length(info) < 4))');
  for (const [command, args, keys, expected = 0] of answers) {
    if (command === 'wait') {
      await using daemon = await pair.daemon();
      await pair.sql('local', "insert into public.t values (1, 'long'), (2, 'longer'), (3, 'ok')");
      await pair.arrive();
      daemon.kill('SIGTERM');
      await daemon.exit(5_000);
      for (const line of daemon.stderr.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg');
    }
    const { code, stdout, stderr } = await pair.pgrep(...command.split(' '), ...args, '--json');
    expect([command, code]).toEqual([command, expected]);
    // Progress of a copy is for people, on standard error.
    expect([command, stderr.replaceAll(/^public\.t -> .*\n/gm, '')]).toEqual([command, '']);
    expect([command, Object.keys(JSON.parse(stdout) as object).sort()]).toEqual([command, keys]);
  }
}, 180_000);
