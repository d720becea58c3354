import { describe, expect, test } from 'vitest';
import type { Console } from '../../src/cli/console.ts';
import { withProgress } from '../../src/cli/progress.ts';

/** A console that is no terminal and keeps what is written to standard error. */
function pipe(written: string[]): Console {
  return {
    out: () => undefined,
    err: (text) => written.push(text),
    outIsTerminal: false,
    errIsTerminal: false,
    columns: null,
    colour: false,
    env: {},
    ask: () => Promise.resolve(null),
  };
}

const step = { table: { schema: 's', name: 't' }, target: 'es', totalRows: 1_000_000, rowsPerSecond: 20_000 };

describe('the progress of a copy where there is no terminal', () => {
  test('is not a line for every chunk, and always one at the end of a table', async () => {
    const written: string[] = [];
    const answer = await withProgress(pipe(written), (report) => {
      for (let rows = 20_000; rows <= 1_000_000; rows += 20_000) report({ ...step, rows, done: rows === 1_000_000 });
      report({ ...step, target: 'remote', rows: 0, totalRows: 0, rowsPerSecond: 0, done: true });
      return Promise.resolve('answer');
    });
    expect(answer).toBe('answer');
    expect(written).toEqual([
      's.t -> es: 1,000,000 rows, 20,000 rows/s, done\n',
      's.t -> remote: 0 rows, 0 rows/s, done\n',
    ]);
  });

  test('passes on the failure of the copy', async () => {
    const failed = withProgress(pipe([]), () => Promise.reject(new Error('no connection')));
    await expect(failed).rejects.toThrow('no connection');
  });
});
