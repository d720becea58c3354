import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { waitFor } from '../support/wait.ts';
import { digest, Pair } from './pair.ts';

/** Five million are measured by hand: PGREP_MEMORY_ROWS=5000000. */
const rows = Number(process.env['PGREP_MEMORY_ROWS'] ?? 1_000_000);
const limitMb = 300;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ name: 'memory', settings: { max_wal_size: '4GB' } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The most memory that a process ever had resident, MB; where there is no /proc, what it has now. */
function peakMb(pid: number): number {
  const status = `/proc/${pid}/status`;
  if (!existsSync(status))
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1]) / 1024;
}

/** Asks again and again: a command of a test is given a minute. */
async function arrived(pair: Pair, target: string): Promise<void> {
  await waitFor(async () => (await pair.pgrep('wait', '--to', target, '--timeout', '30')).code === 0, {
    what: `all rows at ${target}`,
    deadlineMs: 1_500_000,
  });
}

test(`the daemon stays under ${limitMb} MB while one transaction of ${rows} rows goes to a Postgres target and to an index`, async () => {
  await using pair = await Pair.create('memory', { local: server, remote: server });
  const { url } = await sharedElasticsearch();
  pair.configure({ nodes: { es: { elasticsearch: url } } });
  await pair.both('create table public.t (id integer primary key, n integer not null, info text)');
  await pair.json('add-table', 'public.t', '--to', 'remote,es', '--index', 'memory-test');
  await using daemon = await pair.daemon();
  await pair.sql(
    'local',
    `insert into public.t select i, i, 'a row of middling size, number ' || i from generate_series(1, ${rows}) i`,
  );
  await arrived(pair, 'remote');
  const toPostgres = peakMb(daemon.pid);
  await arrived(pair, 'es');
  const peak = peakMb(daemon.pid);
  process.stderr.write(
    `${rows} rows: peak ${Math.round(toPostgres)} MB to Postgres, ${Math.round(peak)} MB with the index\n`,
  );
  await pair.expectEqual(digest);
  await fetch(`${url}/memory-test*/_refresh`, { method: 'POST' });
  const counted = (await (await fetch(`${url}/memory-test/_count`)).json()) as { count: number };
  expect(counted.count).toBe(rows);
  expect(peak).toBeLessThan(limitMb);
}, 3_600_000);
