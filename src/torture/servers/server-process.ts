import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { PgrepError } from '../../core/error.ts';
import { ordinaryUser } from './ordinary-user.ts';
import { waitFor } from './wait-for.ts';

/** What to start and where its output goes. */
export interface LaunchOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Gets stdout and stderr, appended. */
  readonly logPath: string;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The signal that ends the server when this process dies, whatever way; `group` sends it to the whole process group. */
  readonly orphan: { readonly signal: 'QUIT' | 'KILL'; readonly group: boolean };
  /** True: the server outlives this process. */
  readonly outlive?: boolean;
  /** True: it runs as we do, not as the ordinary user. */
  readonly asOurselves?: boolean;
}

/** A server in a process group of its own. */
export class ServerProcess {
  readonly pid: number;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, pid: number, watchdog: ChildProcess | undefined) {
    this.child = child;
    this.pid = pid;
    child.once('exit', () => watchdog?.kill('SIGKILL'));
  }

  /** Starts it and returns at once. */
  static launch(options: LaunchOptions): ServerProcess {
    const log = openSync(options.logPath, 'a', 0o644);
    const child = spawn(options.command, [...options.args], {
      cwd: options.cwd,
      env: { PATH: process.env['PATH'], LANG: 'C', ...options.env },
      stdio: ['ignore', log, log],
      detached: true,
      ...(options.asOurselves ? {} : ordinaryUser()),
    });
    closeSync(log);
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new PgrepError('unreachable', `${options.command} cannot be started.`);
    child.unref();
    return new ServerProcess(child, child.pid, options.outlive ? undefined : watch(child.pid, options.orphan));
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The signal or status that it ended with; null while it runs. */
  get endedBy(): string | null {
    const { exitCode, signalCode } = this.child;
    return signalCode ?? (exitCode === null ? null : `status ${exitCode}`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  async exited(deadlineMs: number): Promise<void> {
    await waitFor(() => !this.running, { what: `process ${this.pid} to exit`, deadlineMs, everyMs: 5 });
  }

  /** SIGKILL to the process and all that descends from it, with none left alive on return. */
  async kill(): Promise<void> {
    if (!this.running) return;
    this.child.kill('SIGSTOP');
    const family = [this.pid, ...descendants(this.pid)];
    for (const pid of family) send(pid, 'SIGKILL');
    await this.exited(10_000);
    await waitFor(() => !family.some(isAlive), { what: 'killed processes to vanish', everyMs: 5 });
  }
}

/** A shell that sleeps on a pipe from us: the pipe closes when we die, even by SIGKILL, and it ends the server. */
function watch(pid: number, orphan: LaunchOptions['orphan']): ChildProcess {
  const script = `read _; kill -${orphan.signal} ${orphan.group ? '-' : ''}${pid}`;
  const shell = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  // A pipe to a child is a socket; it must not keep this process alive either.
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return shell;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

/** Whether a process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return processState(pid) !== 'Z';
}

function processState(pid: number): string {
  const stat = `/proc/${pid}/stat`;
  if (!existsSync('/proc/self')) return '?';
  try {
    return statFields(stat)[0] ?? 'Z';
  } catch {
    return 'Z';
  }
}

/** State, parent and what follows: the fields after the command, which may itself hold blanks and brackets. */
function statFields(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of existsSync('/proc/self') ? readdirSync('/proc') : []) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), Number(statFields(`/proc/${name}/stat`)[1]));
    } catch {
      // Ended while we looked.
    }
  }
  const found = [pid];
  for (const one of found) {
    for (const [child, parent] of parents) if (parent === one) found.push(child);
  }
  return found.slice(1);
}
