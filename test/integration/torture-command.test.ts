import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runPgrep, spawnPgrep } from '../support/daemon.ts';

describe('pgrep torture refuses', () => {
  test.each([
    ['one node', ['--nodes', '1'], /--nodes/],
    ['ten nodes', ['--nodes', '10'], /--nodes is 10/],
    ['no time', ['--minutes', '0'], /--minutes/],
    ['a seed that is no number', ['--seed', 'x'], /--seed/],
    ['a topology that is none', ['--topology', 'ring'], /mesh.*chain.*star/],
    ['a table', ['public.t'], /public\.t/],
    ['--dry-run', ['--dry-run'], /--dry-run/],
  ] as const)('%s', async (_, args, said) => {
    const { code, stdout, stderr } = await runPgrep(['torture', ...args]);
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringMatching(said)]);
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  'pgrep torture prints a fresh seed first, and leaves no server and no folder when %s ends it',
  async (signal, status) => {
    const folder = mkdtempSync(join(tmpdir(), 'pgrep-tortured-'));
    // Its servers are run by another user where we are root.
    chmodSync(folder, 0o755);
    try {
      await using run = spawnPgrep(['torture', '--nodes', '2', '--minutes', '1'], {
        cwd: folder,
        env: { TMPDIR: folder },
      });
      await run.says(/^writing$/m, 60_000);
      expect(run.stderr).toMatch(/^seed \d+\n2 nodes \(mesh\), 60 s, /);
      const pidFiles = ['a', 'b'].map((node) => join(folder, readdirSync(folder)[0] ?? '', node, 'data', 'postmaster.pid')); // prettier-ignore
      const pids = pidFiles.map((file) => Number(readFileSync(file, 'utf8').split('\n')[0]));
      run.kill(signal);
      const { code, stdout, stderr } = await run.exit(30_000);
      expect({ code, stdout, left: readdirSync(folder) }).toEqual({ code: status, stdout: '', left: [] });
      expect(stderr).not.toMatch(/error/i);
      for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  120_000,
);
