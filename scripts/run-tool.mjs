import { spawnSync } from 'node:child_process';

/**
 * Runs a program to its end: on a terminal with its own progress, elsewhere silently unless it fails.
 * All output goes to stderr, because stdout is for the results of whoever called. Throws an Error that says what failed.
 */
export function runTool(command, args, options = {}) {
  const watched = process.stderr.isTTY === true;
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    ...options,
    stdio: ['ignore', watched ? process.stderr : 'pipe', watched ? process.stderr : 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  throw new Error(`${command} ${args[0] ?? ''} failed: ${error ? error.message : `it ended with ${status}`}`);
}
