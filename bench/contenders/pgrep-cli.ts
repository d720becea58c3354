import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PgrepError } from '../../src/core/error.ts';
import type { Place } from '../trial.ts';
import { until } from '../until.ts';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** The built command line with a configuration of its own: nodes `source` and `target`. */
export class PgrepCli {
  readonly #configPath: string;
  readonly #logPath: string;

  private constructor(scratch: string) {
    this.#configPath = join(scratch, 'pgrep.json');
    this.#logPath = join(scratch, 'pgrep.log');
  }

  /** Writes the configuration; throws `usage` when the program was not built. */
  static async at(place: Place): Promise<PgrepCli> {
    if (!existsSync(main)) throw new PgrepError('usage', 'pgrep is not built', { hint: 'npm run build' });
    const { target } = place;
    const config = {
      home: 'source',
      nodes: {
        source: { postgres: place.sourceUrl },
        target: target.kind === 'postgres' ? { postgres: target.url } : { elasticsearch: target.url },
      },
    };
    const cli = new PgrepCli(place.scratch);
    await writeFile(cli.#configPath, JSON.stringify(config));
    return cli;
  }

  /** Runs a command to its end and gives its stdout; throws `no` with its stderr when it fails. */
  async command(...args: readonly string[]): Promise<string> {
    try {
      const done = await promisify(execFile)(process.execPath, [main, ...args, '--config', this.#configPath]);
      return done.stdout;
    } catch (cause) {
      const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
      throw new PgrepError('no', `pgrep ${args.join(' ')} failed: ${stderr}`, { cause });
    }
  }

  /** Starts `pgrep run` with its log in the scratch folder. */
  daemon(): Daemon {
    const log = openSync(this.#logPath, 'a');
    const child = spawn(process.execPath, [main, 'run', '--config', this.#configPath], { stdio: ['ignore', log, log] });
    closeSync(log);
    return new Daemon(child, this.#logPath);
  }
}

/** A running `pgrep run`; it does not outlive this process. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #killWithUs: () => void;

  constructor(child: ChildProcess, logPath: string) {
    this.#child = child;
    this.#logPath = logPath;
    this.#killWithUs = () => child.kill('SIGKILL');
    process.once('exit', this.#killWithUs);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** CPU seconds and peak memory so far, where the system tells (Linux). */
  async usage(): Promise<Readonly<Record<string, number>>> {
    if (process.platform !== 'linux' || !this.running) return {};
    const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number);
    const peak = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1];
    // The kernel counts in ticks of 1/100 s on every architecture that Node runs on.
    return { daemonCpuS: ((user ?? 0) + (system ?? 0)) / 100, daemonPeakMb: Number(peak) / 1024 };
  }

  /** SIGTERM, then the wait for its end; throws `no` with the end of the log when it had died before. */
  async [Symbol.asyncDispose](): Promise<void> {
    process.removeListener('exit', this.#killWithUs);
    if (!this.running) {
      const log = await readFile(this.#logPath, 'utf8');
      throw new PgrepError('no', `pgrep run ended by itself; its log ends:\n${log.slice(-2000)}`);
    }
    this.#child.kill('SIGTERM');
    await until(() => Promise.resolve(!this.running), {
      what: 'pgrep run stops',
      deadlineMs: 15_000,
      pauseMs: 10,
    }).catch((error: unknown) => {
      this.#child.kill('SIGKILL');
      throw error;
    });
  }
}
