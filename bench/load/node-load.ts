import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoadGenerator, LoadJob, LoadResult } from './generator.ts';

const run = promisify(execFile);
const child = fileURLToPath(new URL('./node-load-child.ts', import.meta.url));

/** A Node process with one prepared statement at a time on each connection: where pgbench is not installed. */
export const nodeLoad: LoadGenerator = {
  name: 'a Node process with prepared statements',
  async run(job: LoadJob): Promise<LoadResult> {
    const { stdout } = await run(process.execPath, ['--import', 'tsx', child, JSON.stringify(job)]);
    return JSON.parse(stdout) as LoadResult;
  },
};
