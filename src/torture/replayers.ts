import { join } from 'node:path';
import { ServerProcess } from './servers/server-process.ts';
import type { Cluster } from './cluster.ts';

/** The `pgrep run` processes of a run: one for each node, or one for all. */
export class Replayers implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #program: string;
  readonly #each: boolean;
  readonly #running = new Map<string, ServerProcess>();
  /** Replayers that ended without being killed, and by what: each is a finding. */
  readonly ended: string[] = [];

  constructor(cluster: Cluster, { program, each }: { readonly program: string; readonly each: boolean }) {
    this.#cluster = cluster;
    this.#program = program;
    this.#each = each;
  }

  /** Starts those that are missing, with the configuration as the cluster is now. */
  start(): void {
    this.#cluster.writeConfig();
    const names = this.#each ? this.#cluster.members.map(({ name }) => name) : [all];
    for (const name of names) if (!this.#isRunning(name)) this.#running.set(name, this.#launch(name));
  }

  /** SIGKILL of the replayer that serves a node. */
  async kill(node: string): Promise<void> {
    await this.#kill(this.#each ? node : all);
  }

  /** SIGSTOP of the replayer that serves a node. */
  pause(node: string): void {
    this.#running.get(this.#each ? node : all)?.signal('SIGSTOP');
  }

  /** Ends all pauses. */
  goOn(): void {
    for (const replayer of this.#running.values()) replayer.signal('SIGCONT');
  }

  /** SIGKILL of all, and a new start: what a configuration with other nodes needs. */
  async restart(): Promise<void> {
    for (const name of this.#running.keys()) await this.#kill(name);
    this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#running.keys()) await this.#kill(name);
  }

  async #kill(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined || !this.#isRunning(name)) return;
    this.#running.delete(name);
    await running.kill();
  }

  #isRunning(name: string): boolean {
    const known = this.#running.get(name);
    if (known === undefined) return false;
    if (!known.running) {
      this.ended.push(`${name} (${known.endedBy ?? ''})`);
      this.#running.delete(name);
    }
    return known.running;
  }

  #launch(name: string): ServerProcess {
    const { folder } = this.#cluster;
    const from = name === all ? [] : ['--from', name];
    return ServerProcess.launch({
      command: process.execPath,
      args: [this.#program, 'run', '--config', join(folder, 'pgrep.json'), ...from],
      cwd: folder,
      logPath: join(folder, `replayer-${name}.log`),
      orphan: { signal: 'KILL', group: false },
      asOurselves: true,
    });
  }
}

const all = 'all';
