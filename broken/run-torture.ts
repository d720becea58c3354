import { spawn } from 'node:child_process';
import type { Finding } from '../src/torture/check/judge.ts';
import type { Topology } from '../src/torture/options.ts';
import type { TortureResult } from '../src/torture/torture.ts';
import type { BrokenCopy } from './broken-copy.ts';

/** What a run of torture is asked for. */
export interface RunOptions {
  readonly nodes: number;
  readonly minutes: number;
  readonly seed: number;
  readonly topology: Topology;
}

/** How a run ended. */
export interface Run extends RunOptions {
  /** The gravest finding; null: nothing was found. */
  readonly first: Pick<Finding, 'check' | 'message' | 'at'> | null;
  /** Findings by check. */
  readonly findings: Readonly<Partial<Record<Finding['check'], number>>>;
  /** Versions that lost to a concurrent one: how much there was to judge. */
  readonly discarded: number;
  readonly conflicts: number;
  /** Conflicts of a version with one that was made of it. */
  readonly superseded: number;
  /** Why torture itself ended without a verdict, in its own words; null: it gave one. */
  readonly failed: string | null;
}

/** Tortures the copy once, and waits for the verdict. `say` is told how far it is. Once `signal` aborts, torture cleans up and gives none. */
export async function runTorture(
  { program, scratch }: BrokenCopy,
  options: RunOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Run> {
  const { nodes, minutes, seed, topology } = options;
  const args = ['torture', '--json', '--nodes', `${nodes}`, '--minutes', `${minutes}`, '--seed', `${seed}`, '--topology', topology]; // prettier-ignore
  const child = spawn(process.execPath, [program, ...args], {
    cwd: scratch,
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const interrupt = (): unknown => child.kill('SIGINT');
  signal.addEventListener('abort', interrupt, { once: true });
  let output = '';
  let last = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => {
    last = data.toString().trim().split('\n').at(-1) ?? last;
    say(last);
  });
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  signal.removeEventListener('abort', interrupt);
  const result = readResult(output);
  if (result === null)
    return { ...options, first: null, findings: {}, discarded: 0, conflicts: 0, superseded: 0, failed: last };
  const { findings, discarded, conflicts, superseded } = result;
  return {
    ...options,
    first: findings[0] ?? null,
    findings: countChecks(result),
    discarded,
    conflicts,
    superseded,
    failed: null,
  };
}

function readResult(output: string): TortureResult | null {
  try {
    const parsed = JSON.parse(output) as TortureResult | { readonly findings?: undefined };
    return parsed.findings === undefined ? null : parsed;
  } catch {
    return null;
  }
}

function countChecks({ findings }: TortureResult): Run['findings'] {
  const counts: Partial<Record<Finding['check'], number>> = {};
  for (const { check } of findings) counts[check] = (counts[check] ?? 0) + 1;
  return counts;
}
