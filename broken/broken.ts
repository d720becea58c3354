import { setPriority } from 'node:os';
import { errorCodes, PgrepError } from '../src/core/error.ts';
import type { Breakage } from './breakage.ts';
import { impatience } from './breakages.ts';
import { BrokenCopy } from './broken-copy.ts';
import { parseOptions, usage, type Options } from './options.ts';
import { reportJson, reportText, showRun } from './report.ts';
import { runTorture, type Run } from './run-torture.ts';
import { finds, isProven, topologyOf, type Proof } from './verdict.ts';

/**
 * Breaks the algorithm of two-way routes in one place at a time and shows that torture finds it. The table on stdout, progress
 * on stderr; exit status 3 when a breakage was not found, or something was where nothing is broken.
 */

// Below whatever else the machine does: it takes long, and nobody waits for it.
const niceness = 10;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    print(process.stdout, usage);
    return 0;
  }
  setPriority(niceness);
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
  const proofs: Proof[] = [];
  for (const [at, breakage] of options.chosen.entries()) {
    if (stopping.signal.aborted) break;
    print(process.stderr, `[${at + 1}/${options.chosen.length}] ${breakage.name}: ${breakage.broken}`);
    proofs.push({ breakage, runs: await runsOf(breakage, options, stopping.signal) });
  }
  print(process.stdout, options.json ? reportJson(proofs) : reportText(proofs));
  if (stopping.signal.aborted) return errorCodes.no;
  return proofs.every(isProven) ? 0 : errorCodes.no;
}

async function runsOf(breakage: Breakage, options: Options, stop: AbortSignal): Promise<readonly Run[]> {
  const { seed, minutes, nodes } = options;
  const isControl = breakage.step === 'control';
  using copy = await BrokenCopy.make([...impatience, ...breakage.edits]);
  const runs: Run[] = [];
  while (runs.length < (isControl ? options.controlRuns : options.runs) && !stop.aborted) {
    const place = runs.length;
    const topology = topologyOf(breakage, place);
    const run = await runTorture(copy, { nodes, minutes, seed: seed + place, topology }, showProgress, stop);
    showProgress('');
    if (stop.aborted) break;
    runs.push(run);
    print(process.stderr, `  ${showRun(run)}`);
    if (!isControl && finds(breakage, run)) break;
  }
  return runs;
}

/** On a terminal, in a line that the next one overwrites. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line === '' ? '' : `  ${line.slice(0, 100)}`}`);
}

function print(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof PgrepError)) throw error;
  print(process.stderr, error.hint === undefined ? error.message : `${error.message}\n${error.hint}`);
  process.exitCode = errorCodes[error.code];
}
