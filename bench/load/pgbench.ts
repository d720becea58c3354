import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PgrepError } from '../../src/core/error.ts';
import type { LoadGenerator, LoadJob, LoadResult, StatementName } from './generator.ts';
import { connections, statements } from './generator.ts';

const run = promisify(execFile);

/** pgbench with prepared statements and one thread: far less CPU than a Node process, which matters on two cores. */
export const pgbench: LoadGenerator = { name: 'pgbench -M prepared', run: runPgbench };

/** True when the command is installed. */
export async function hasPgbench(): Promise<boolean> {
  return run('pgbench', ['--version']).then(
    () => true,
    () => false,
  );
}

async function runPgbench(job: LoadJob): Promise<LoadResult> {
  const names: readonly StatementName[] = job.mix === 'inserts' ? ['insert'] : ['insert', 'update', 'delete'];
  const files: string[] = [];
  for (const name of names) {
    const path = join(job.scratch, `${name}.sql`);
    await writeFile(path, pgbenchScript(name, job.preloadedRows));
    files.push('--file', `${path}@${statements[name].weight}`);
  }
  const length =
    'seconds' in job.until ? ['--time', `${job.until.seconds}`] : ['--transactions', `${job.until.transactionsEach}`];
  const args = ['--no-vacuum', '--protocol=prepared', '--jobs=1', `--client=${connections}`, '-D', 'fresh=0'];
  const { stdout } = await run('pgbench', [...args, ...length, ...files, job.url], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  return parsePgbench(stdout);
}

/** New ids count up from `firstNewId` of the connection: pgbench keeps a connection's variables from script to script. */
export function pgbenchScript(name: StatementName, preloadedRows: number): string {
  const id =
    name === 'insert'
      ? '\\set fresh :fresh + 1\n\\set id (:client_id + 1) * 1000000000 + :fresh'
      : `\\set id random(1, ${Math.max(1, preloadedRows)})`;
  return `${id}\n${statements[name].text.replaceAll('$1', ':id')};\n`;
}

/** Reads pgbench's report; throws `no` when a transaction failed or a line is missing. */
export function parsePgbench(report: string): LoadResult {
  const transactions = /transactions actually processed: (\d+)/.exec(report)?.[1];
  const perSecond = /tps = ([\d.]+) \(without initial connection time\)/.exec(report)?.[1];
  const failed = /failed transactions: (\d+)/.exec(report)?.[1] ?? '0';
  if (transactions === undefined || perSecond === undefined || failed !== '0') {
    throw new PgrepError('no', `pgbench did not do all of its work: ${report.trim()}`);
  }
  return { transactions: Number(transactions), perSecond: Number(perSecond) };
}
