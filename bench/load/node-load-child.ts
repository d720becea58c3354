import { performance } from 'node:perf_hooks';
import type pg from 'pg';
import { connect } from '../sql.ts';
import type { LoadJob, LoadResult, StatementName } from './generator.ts';
import { connections, firstNewId, statements } from './generator.ts';

/** The process that `node-load.ts` starts: a job as JSON in its first argument, the result as JSON on stdout. */

const job = JSON.parse(process.argv[2] ?? '') as LoadJob;
const clients = await Promise.all(Array.from({ length: connections }, () => connect(job.url)));
const begin = performance.now();
const done = await Promise.all(clients.map((client, connection) => drive(client, connection)));
const seconds = (performance.now() - begin) / 1000;
await Promise.all(clients.map((client) => client.end()));
const transactions = done.reduce((sum, count) => sum + count, 0);
const result: LoadResult = { transactions, perSecond: transactions / seconds };
process.stdout.write(JSON.stringify(result));

async function drive(client: pg.Client, connection: number): Promise<number> {
  let fresh = firstNewId(connection);
  let count = 0;
  while (!isOver(count)) {
    const name = choose();
    const id = name === 'insert' ? ++fresh : 1 + Math.floor(Math.random() * Math.max(1, job.preloadedRows));
    await client.query({ name, text: statements[name].text, values: [id] });
    count += 1;
  }
  return count;
}

function isOver(count: number): boolean {
  return 'seconds' in job.until
    ? performance.now() - begin >= job.until.seconds * 1000
    : count >= job.until.transactionsEach;
}

function choose(): StatementName {
  if (job.mix === 'inserts') return 'insert';
  const dice = Math.random() * 100;
  if (dice < statements.insert.weight) return 'insert';
  return dice < statements.insert.weight + statements.update.weight ? 'update' : 'delete';
}
