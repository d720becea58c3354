import { afterAll, afterEach } from 'vitest';
import { deferRemoval, settleFolders } from './folders.ts';

/** Set-up of every test file: servers' folders (data and logs) stay when one of its tests failed. */
deferRemoval();

let failed = false;
afterEach(({ task }) => {
  failed ||= task.result?.state === 'fail';
});

afterAll(({}, suite) => {
  // A failed beforeAll leaves its tests without a verdict of their own.
  failed ||= suite.result?.state === 'fail' || suite.tasks.some((task) => task.result?.state === 'fail');
  const kept = settleFolders(failed);
  if (kept.length > 0) process.stderr.write(`kept for inspection: ${kept.join(' ')}\n`);
});
