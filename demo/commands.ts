import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../test/support/package-root.ts';
import { runPgrep } from '../test/support/daemon.ts';
import { say } from './say.ts';

/** The `pgrep` command with the demo's configuration. */
export class Commands {
  private readonly configPath: string;

  constructor(configPath: string) {
    this.configPath = configPath;
  }

  /** Prints the command as typed, runs it and prints what it says. Throws when its exit status is not among `ok`. */
  async show(args: readonly string[], ok: readonly number[] = [0]): Promise<void> {
    say(`$ pgrep ${args.map(shellWord).join(' ')}`);
    const { code, stdout, stderr } = await runPgrep(args, { configPath: this.configPath, deadlineMs: 120_000 });
    for (const line of `${stderr}${stdout}`.trimEnd().split('\n')) say(`  ${line}`);
    if (code === null || !ok.includes(code)) throw new Error(`pgrep ${args.join(' ')} ended with ${code}`);
  }

  /** The answer of a command with `--json`; its shape is the caller's to know. */
  async ask(args: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await runPgrep([...args, '--json'], { configPath: this.configPath });
    if (code !== 0) throw new Error(`pgrep ${args.join(' ')} ended with ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** Starts `pgrep run`, its log in a file; with `keep` it outlives this process. */
  startDaemon(logPath: string, keep: boolean): ChildProcess {
    say('$ pgrep run &');
    const log = openSync(logPath, 'a');
    const args = [join(packageRoot, 'dist', 'cli', 'main.js'), 'run', '--config', this.configPath];
    const child = spawn(process.execPath, args, { stdio: ['ignore', log, log], detached: keep });
    closeSync(log);
    if (keep) child.unref();
    return child;
  }

  /** How to type a command by hand, from any folder. */
  byHand(args: string): string {
    return `node ${join(packageRoot, 'dist', 'cli', 'main.js')} ${args} --config ${this.configPath}`;
  }
}

function shellWord(word: string): string {
  return /^[\w.,:=/-]+$/.test(word) ? word : `'${word}'`;
}
