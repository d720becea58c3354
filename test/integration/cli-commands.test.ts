import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runPgrep, spawnPgrep, type PgrepExit } from '../support/daemon.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { waitFor } from '../support/wait.ts';

/**
 * The commands in the order in which a user types them, on two databases of one real server: each test goes on where
 * the one before it ended.
 */
describe('a table from init to uninstall, by the built command', () => {
  let server: PostgresServer;
  let folder = '';
  const url = { local: '', remote: '' };

  beforeAll(async () => {
    server = await startPostgres({ name: 'cli' });
    url.local = await server.createDatabase('local');
    url.remote = await server.createDatabase('remote');
    folder = mkdtempSync(join(tmpdir(), 'pgrep-cli-'));
    const nodes = { local: { postgres: '${LOCAL}' }, remote: { postgres: url.remote } };
    writeFileSync(join(folder, 'pgrep.json'), JSON.stringify({ home: 'local', nodes }));
    await sql('local', 'create schema local');
    await sql('local', 'create table local.loc_test (pk1 int, pk2 text, info text, primary key (pk1, pk2))');
    await sql('local', "insert into local.loc_test select i, 'x', 'row ' || i from generate_series(1, 1000) i");
    await sql('remote', 'create schema remote');
    await sql(
      'remote',
      'create table remote.rmt_test (pk1 int, pk2 text, note text, constraint short check (length(note) < 20), primary key (pk1, pk2))',
    );
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  async function sql(node: keyof typeof url, text: string): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: url[node] });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async function pgrep(...args: string[]): Promise<PgrepExit> {
    return await runPgrep(args, { cwd: folder, env: { LOCAL: url.local, PGREP_CONFIG: undefined } });
  }

  /** How many sessions the local database has whose application_name begins so. */
  async function sessionsOf(prefix: string): Promise<number> {
    const rows = await sql('local', `select 1 from pg_stat_activity where application_name like '${prefix}%'`);
    return rows.length;
  }

  /** The result of a command that must succeed, from its `--json`. */
  async function json(...args: string[]): Promise<unknown> {
    const { code, stdout, stderr } = await pgrep(...args, '--json');
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout);
  }

  test('init --dry-run prints SQL that psql would take, and changes nothing', async () => {
    const { code, stdout } = await pgrep('init', 'local', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^-- at local\n[^]*create table pgrep\.route[^]*;\n$/);
    expect(await sql('local', "select 1 from pg_namespace where nspname = 'pgrep'")).toEqual([]);
  });

  test('init creates the schema once', async () => {
    expect(await json('init')).toMatchObject({
      nodes: [
        { node: 'local', nodeId: 1, change: 'created' },
        { node: 'remote', nodeId: 2, change: 'created' },
      ],
    });
    expect((await pgrep('init')).stdout).toBe('NODE    ID  SCHEMA\nlocal    1  unchanged\nremote   2  unchanged\n');
  });

  test('status of nothing says how to begin', async () => {
    expect((await pgrep('status')).stdout).toBe(
      'Nothing is replicated. Begin with: pgrep add-table SCHEMA.TABLE --to NODE\n',
    );
  });

  test('add-table copies the rows and says so', async () => {
    const args = ['add-table', 'local.loc_test', '--to', 'remote', '--as', 'remote.rmt_test', '--map', 'info=note'];
    const { code, stdout, stderr } = await pgrep(...args);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^local\.loc_test -> remote: 1,000 rows, .* done\n$/)]);
    expect(stdout).toMatch(/\nlocal\.loc_test +local +remote +remote\.rmt_test +added +1,000\n$/);
    expect(await sql('remote', 'select count(*)::int from remote.rmt_test')).toEqual([{ count: 1000 }]);
    expect(await json(...args)).toMatchObject({ routes: [{ change: 'unchanged' }] });
  });

  test('status without a daemon says what is missing', async () => {
    await sql('local', "update local.loc_test set info = 'changed' where pk1 <= 5");
    expect(await json('status')).toMatchObject({
      links: [{ source: 'local', target: 'remote', state: 'no daemon', tables: 1 }],
    });
    expect((await pgrep('status')).stdout).toMatch(/Links without a daemon wait for: pgrep run\n$/);
  });

  test('wait gives up with status 3 and names the link', async () => {
    const { code, stdout } = await pgrep('wait', '--timeout', '1');
    expect([code, stdout]).toEqual([3, expect.stringMatching(/still behind: local->remote\./)]);
  });

  test('a command that SIGINT interrupts ends with status 130 and says so', async () => {
    await using waiting = spawnPgrep(['wait', '--log-level', 'debug'], { cwd: folder, env: { LOCAL: url.local } });
    await waitFor(async () => (await sessionsOf('pgrep')) > 0, { what: 'the connection of pgrep wait' });
    waiting.kill('SIGINT');
    expect(await waiting.exit(5_000)).toMatchObject({ code: 130, stdout: '', stderr: 'Interrupted.\n' });
  });

  test('run delivers, serves metrics, and ends with status 0 on SIGTERM; a poison row is listed, mended and retried', async () => {
    await using daemon = spawnPgrep(['run', '--metrics-port', '0'], { cwd: folder, env: { LOCAL: url.local } });
    await daemon.says(/serving \/metrics/);
    expect((await pgrep('wait', '--timeout', '30')).code).toBe(0);
    await sql(
      'local',
      "insert into local.loc_test values (2001, 'y', 'a text that is far too long'), (2002, 'y', 'ok')",
    );
    expect((await pgrep('wait', '--timeout', '30')).code).toBe(0);
    const [record] = (await json('errors', 'list')) as readonly Record<string, unknown>[];
    expect(record).toMatchObject({ table_name: 'loc_test', dst_server: 'remote', key: ['2001', 'y'], reason: '23514' });
    expect((await pgrep('errors', 'show', String(record?.id))).stdout).toContain('statement at remote:');
    const planned = await pgrep('retry-errors', '--dry-run');
    expect([planned.code, planned.stdout]).toEqual([0, expect.stringContaining('Would try 1 record of remote')]);
    const retried = await pgrep('retry-errors', '--limit', '500');
    expect(retried).toMatchObject({
      code: 3,
      stderr: '',
      stdout: expect.stringContaining('1 record remains for remote') as string,
    });
    await sql('remote', 'alter table remote.rmt_test drop constraint short');
    expect(await json('retry-errors')).toMatchObject({ succeeded: 1, remaining: [], remainingTotal: 0 });
    const port = /"port":(\d+)/.exec(daemon.stderr)?.[1] ?? '';
    const page = await waitFor(async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), {
      what: 'metrics',
    });
    expect(page).toMatch(/pgrep_keys_total\{source="local",target="remote"\} [1-9]/);
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    daemon.kill('SIGTERM');
    expect((await daemon.exit(5_000)).code).toBe(0);
  });

  test('remove-table ends replication and keeps the rows', async () => {
    const { code, stdout } = await pgrep('remove-table', 'local.loc_test');
    expect([code, stdout]).toEqual([0, expect.stringContaining('no longer replicated from local to remote')]);
    expect(await sql('remote', 'select count(*)::int from remote.rmt_test')).toEqual([{ count: 1002 }]);
  });

  test('uninstall wants a yes, shows what it would drop, and then drops it', async () => {
    const asked = await pgrep('uninstall');
    expect([asked.code, asked.stdout]).toEqual([2, '']);
    expect(asked.stderr).toMatch(/drop schema[^]*--yes/i);
    expect((await pgrep('uninstall', '--yes')).code).toBe(0);
    for (const node of ['local', 'remote'] as const) {
      expect(await sql(node, "select 1 from pg_namespace where nspname = 'pgrep'")).toEqual([]);
    }
  });
});
