#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { runCommandLine } from './run-command-line.ts';
import { endQuietlyOnClosedOutput, listenForInterruption, processConsole } from './process-console.ts';

endQuietlyOnClosedOutput();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const status = await runCommandLine(process.argv.slice(2), {
  console: processConsole(),
  interruption: listenForInterruption(),
  version,
  node: process.version,
});
// What is still in the pipe goes out first; then nothing that was left open keeps the process.
process.stdout.write('', () => process.exit(status));
