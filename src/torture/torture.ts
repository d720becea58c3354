import { monotonicMs, pause } from '../core/timing.ts';
import { Cluster } from './cluster.ts';
import { collect } from './check/collect.ts';
import { judge, type Judgement } from './check/judge.ts';
import { reportKey } from './check/key-report.ts';
import { historiesOf } from './check/history.ts';
import { heal, inflict } from './faults/inflict.ts';
import { drawSchedule, showFault, type Fault, type Schedule } from './faults/schedule.ts';
import { found, joinNode } from './membership.ts';
import type { Say, TortureOptions } from './options.ts';
import { Replayers } from './replayers.ts';
import { loseNode } from './lose-node.ts';
import { shapeOf } from './topology.ts';
import { Writers } from './workload/writers.ts';
import { hotFrom } from './workload/hot-keys.ts';
import type { KeyRange } from './workload/operations.ts';

/** How a run ended. An interface of `--json`. */
export interface TortureResult {
  readonly passed: boolean;
  readonly seed: number;
  readonly nodes: number;
  readonly topology: string;
  readonly seconds: number;
  readonly committed: number;
  /** Transactions of writers that failed, by SQLSTATE; '': the connection was lost. */
  readonly refused: Readonly<Record<string, number>>;
  readonly operations: Readonly<Record<string, number>>;
  /** Faults that happened, by kind; one whose node was not there at its time is none. */
  readonly faults: Readonly<Record<string, number>>;
  /** Faults that could not be inflicted or ended, by kind. */
  readonly faultsFailed: Readonly<Record<string, number>>;
  readonly keys: number;
  readonly versions: number;
  readonly conflicts: number;
  readonly discarded: number;
  readonly superseded: number;
  readonly findings: Judgement['findings'];
  /** Everything about the first key that is wrong, in lines. */
  readonly firstKey: readonly string[];
  /** The folder with data and logs; null when it was removed. */
  readonly folder: string | null;
}

/** Keys up to this are written: so many that few are written again once they are cold, and what went wrong with them stays to be seen. */
const allKeys = 2_000;

/** Writers of each node. */
const writersPerNode = 3;

/**
 * Runs nodes under load and faults for a time, heals them, and judges what is left. The same options draw the same operations and faults;
 * which of them meet is up to the machine. Throws when the run itself cannot be carried out, and then keeps everything, too.
 */
export async function torture(options: TortureOptions, say: Say, signal: AbortSignal): Promise<TortureResult> {
  await using cluster = new Cluster();
  try {
    const result = await new Run(cluster, options, say).toTheEnd(signal);
    if (!result.passed || options.keep) cluster.keep();
    return { ...result, folder: !result.passed || options.keep ? cluster.folder : null };
  } catch (error) {
    // Who interrupts a run has found nothing.
    if (signal.aborted && !options.keep) throw error;
    cluster.keep();
    say(`stopped by an error; data and logs: ${cluster.folder}`);
    throw error;
  }
}

class Run {
  readonly #cluster: Cluster;
  readonly #options: TortureOptions;
  readonly #say: Say;
  readonly #schedule: Schedule;
  readonly #happened: Fault[] = [];
  readonly #failed: Fault[] = [];
  /** The join that is under way or has ended. */
  #joined: Promise<void> = Promise.resolve();

  constructor(cluster: Cluster, options: TortureOptions, say: Say) {
    this.#cluster = cluster;
    this.#options = options;
    this.#say = say;
    this.#schedule = drawSchedule(options);
  }

  async toTheEnd(signal: AbortSignal): Promise<Omit<TortureResult, 'folder'>> {
    const { topology, nodes, seconds, seed, program } = this.#options;
    const shape = shapeOf(topology, nodes);
    this.#say(`${nodes} nodes (${topology}), ${seconds} s, ${this.#schedule.faults.length} faults, ${this.#schedule.hotKeys} hot keys, ${this.#schedule.replayerEach ? 'a replayer for each node' : 'one replayer for all'}`); // prettier-ignore
    await found(this.#cluster, { shape, allKeys }, signal);
    await using replayers = new Replayers(this.#cluster, { program, each: this.#schedule.replayerEach });
    replayers.start();
    const writers = new Writers(this.#cluster, { seed, keys: this.#keysFrom(monotonicMs()), perNode: writersPerNode });
    for (const node of this.#cluster.members) writers.start(node);
    this.#say('writing');
    await this.#suffer({ replayers, writers, hub: shape.hub }, signal);
    await writers.stop();
    signal.throwIfAborted();
    await heal({ cluster: this.#cluster, replayers });
    this.#say(`healed after ${writers.written.committed} transactions; draining`);
    return await this.#conclude({ replayers, writers }, signal);
  }

  /** The keys of each moment of a run that begins at `begunMs`. */
  #keysFrom(begunMs: number): () => KeyRange {
    const { hotKeys, truncatesMs } = this.#schedule;
    return () => {
      const atMs = monotonicMs() - begunMs;
      return { hotFrom: hotFrom(atMs, { hot: hotKeys, all: allKeys }), hot: hotKeys, all: allKeys, truncates: atMs < truncatesMs }; // prettier-ignore
    };
  }

  /** Lets the faults happen, each at its time, until the time is over and the last one has ended. */
  async #suffer(parts: Parts, signal: AbortSignal): Promise<void> {
    const begun = monotonicMs();
    const left = (atMs: number): number => atMs - (monotonicMs() - begun);
    const ending: Promise<void>[] = [];
    const failures: unknown[] = [];
    for (const fault of this.#schedule.faults) {
      await pause(Math.max(0, left(fault.atMs)), signal);
      if (signal.aborted) break;
      this.#say(`${(fault.atMs / 1000).toFixed(1)} s: ${showFault(fault)}`);
      ending.push(this.#happen(fault, parts, signal).catch((error: unknown) => void failures.push(error)));
    }
    await pause(Math.max(0, left(this.#options.seconds * 1000)), signal);
    await Promise.all(ending);
    if (failures.length > 0) throw failures[0];
  }

  async #happen(fault: Fault, { replayers, writers, hub }: Parts, signal: AbortSignal): Promise<void> {
    const cluster = this.#cluster;
    switch (fault.event.kind) {
      case 'join':
        this.#joined = this.#join(fault.node, { replayers, writers, hub }, signal);
        await this.#joined;
        break;
      case 'forget':
        // Who joins must know whom to join.
        await this.#joined;
        await loseNode({ cluster, replayers, writers, name: fault.node, say: this.#say }, signal);
        this.#say(`${fault.node} is forgotten`);
        break;
      default:
        try {
          if (!(await inflict(fault, { cluster, replayers }, signal))) return;
        } catch (error) {
          // A server that a session meets while it is down fails that fault, no more.
          this.#failed.push(fault);
          this.#say(`${showFault(fault)} failed: ${error instanceof Error ? error.message : String(error)}`);
          return;
        }
    }
    this.#happened.push(fault);
  }

  async #join(name: string, { replayers, writers, hub }: Parts, signal: AbortSignal): Promise<void> {
    const { topology } = this.#options;
    const node = await joinNode({ cluster: this.#cluster, replayers, topology, hub, name, say: this.#say }, signal);
    this.#say(`${name} has joined`);
    writers.start(node);
  }

  async #conclude(
    { replayers, writers }: Omit<Parts, 'hub'>,
    signal: AbortSignal,
  ): Promise<Omit<TortureResult, 'folder'>> {
    const evidence = await collect({ cluster: this.#cluster, replayers, say: this.#say }, signal);
    const { findings, ...counts } = judge(evidence);
    const wrong = findings.find(({ at }) => at !== null)?.at ?? null;
    const history = historiesOf(evidence.log, wrong === null ? [] : [wrong]).find((each) => each.key === wrong?.key && each.table === wrong.table); // prettier-ignore
    const firstKey = wrong === null ? [] : await reportKey(this.#cluster, wrong, history?.commits ?? []);
    const { nodes, topology, seconds, seed } = this.#options;
    const { committed, refused, operations } = writers.written;
    return {
      passed: findings.length === 0,
      seed,
      nodes,
      topology,
      seconds,
      committed,
      refused: Object.fromEntries(refused),
      operations: Object.fromEntries(operations),
      faults: countKinds(this.#happened),
      faultsFailed: countKinds(this.#failed),
      ...counts,
      findings,
      firstKey,
    };
  }
}

interface Parts {
  readonly replayers: Replayers;
  readonly writers: Writers;
  readonly hub: string;
}

function countKinds(faults: readonly Fault[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { event } of faults) counts[event.kind] = (counts[event.kind] ?? 0) + 1;
  return counts;
}
