import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';
import { waitFor } from './wait.ts';

/** The built command line; vitest's global set-up builds it. */
const bin = join(packageRoot, 'dist', 'cli', 'main.js');

/** How to start the command. */
export interface SpawnOptions {
  /** Passed as `--config`. */
  readonly configPath?: string;
  /** Added to our own environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Node's own flags, such as `--max-old-space-size=64`. */
  readonly nodeArgs?: readonly string[];
  /** Written to stdin, which is then closed; without it stdin is empty. */
  readonly input?: string;
}

/** How a process ended. */
export interface PgrepExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `pgrep` command. Disposing of it kills it. */
export class PgrepProcess implements AsyncDisposable {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<PgrepExit>;

  constructor(args: readonly string[], options: SpawnOptions) {
    const config = options.configPath === undefined ? [] : ['--config', options.configPath];
    const child = spawn(process.execPath, [...(options.nodeArgs ?? []), bin, ...args, ...config], {
      cwd: options.cwd ?? packageRoot,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: 'pipe',
    });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends a signal and returns at once; `exit` waits. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.child.kill(signal);
  }

  /** How it ended; rejects with its output when it still runs at the deadline. */
  async exit(deadlineMs = 60_000): Promise<PgrepExit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`still running after ${deadlineMs} ms\nstdout: ${this.stdout}\nstderr: ${this.stderr}`));
      }, deadlineMs);
    });
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until stdout and stderr together match; fails at once when the process ends without. */
  async says(pattern: RegExp, deadlineMs = 30_000): Promise<void> {
    const said = (): boolean => pattern.test(this.stdout + this.stderr);
    await waitFor(() => said() || !this.running, { what: `output like ${String(pattern)}`, deadlineMs });
    if (!this.running) await this.ended;
    if (!said()) throw new Error(`ended without saying ${String(pattern)}:\n${this.stdout}${this.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.ended;
  }
}

/** Starts the built command and returns while it runs. */
export function spawnPgrep(args: readonly string[], options: SpawnOptions = {}): PgrepProcess {
  return new PgrepProcess(args, options);
}

/** Runs the built command to its end, whatever its exit status. */
export async function runPgrep(
  args: readonly string[],
  options: SpawnOptions & { readonly deadlineMs?: number } = {},
): Promise<PgrepExit> {
  await using process = spawnPgrep(args, options);
  return await process.exit(options.deadlineMs);
}
