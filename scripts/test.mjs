/**
 * `npm test`: the static checks, each counted as one test, then all test files; the last line is the count.
 * Arguments go to vitest (`npm test -- --project unit queue`), and then the static checks are left out.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitestArgs = process.argv.slice(2);

const checks = [
  ['types', 'tsc', '-p', 'tsconfig.json', '--noEmit'],
  ['lint', 'eslint', '.'],
  ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
  ['unused', 'knip'],
];

const count = { passed: 0, failed: 0, skipped: 0 };

for (const [name, command, ...args] of vitestArgs.length > 0 ? [] : checks) {
  const { status, output } = await run(command, args, 'pipe');
  process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}\n${status === 0 ? '' : output}`);
  count[status === 0 ? 'passed' : 'failed']++;
}

const folder = mkdtempSync(join(tmpdir(), 'pgrep-report-'));
const report = join(folder, 'report.json');
const { status } = await run(
  'vitest',
  ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...vitestArgs],
  'inherit',
);
const ran = add(report);
rmSync(folder, { recursive: true, force: true });

// Vitest also fails for what is no test: a file that cannot be loaded, an error outside of tests, nothing to run.
if (status !== 0 && count.failed === 0) count.failed++;
process.stdout.write(
  `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}\n`,
);
process.exitCode = count.failed > 0 || !ran ? 1 : 0;

/** Adds vitest's counts; false when no test ran. A file whose set-up failed counts as one failure. */
function add(path) {
  try {
    const result = JSON.parse(readFileSync(path, 'utf8'));
    const brokenFiles = result.testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    );
    count.passed += result.numPassedTests;
    count.failed += result.numFailedTests + brokenFiles.length;
    count.skipped += result.numPendingTests + result.numTodoTests;
    return result.numPassedTests + result.numFailedTests > 0;
  } catch {
    return false;
  }
}

function run(program, args, stdio) {
  const child = spawn(join(root, 'node_modules', '.bin', program), args, {
    cwd: root,
    stdio: ['ignore', stdio, stdio],
  });
  let output = '';
  child.stdout?.on('data', (data) => (output += data));
  child.stderr?.on('data', (data) => (output += data));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ status: 1, output: `${error.message}\n` }));
    child.on('close', (code) => resolve({ status: code ?? 1, output }));
  });
}
