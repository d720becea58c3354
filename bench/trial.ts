import type { LoadGenerator } from './load/generator.ts';
import type { Replica } from './replica.ts';

/** The words of the benchmark: a workload is tried with each contender; one such try is a trial and gives figures. */

export type ContenderName = 'none' | 'native' | 'dblink' | 'pgrep' | 'pgrep two-way' | 'bulk loop';

export type WorkloadName = 'W1' | 'W2' | 'W3' | 'W4' | 'W5' | 'W6' | 'ES-copy' | 'ES-W1' | 'ES-W5';

/** Named numbers; the unit ends the name, as in `p50Ms`. */
export type Figures = Readonly<Record<string, number>>;

/** Where one trial takes place: a fresh database with `bench.item`, and a fresh database or index beside it. */
export interface Place {
  readonly sourceUrl: string;
  readonly target: PostgresPlace | ElasticsearchPlace;
  /** An empty folder for configuration, scripts and logs. */
  readonly scratch: string;
  /** Unique in the run, `[a-z0-9_]`: for names of slots and the like. */
  readonly tag: string;
}

export interface PostgresPlace {
  readonly kind: 'postgres';
  readonly url: string;
}

export interface ElasticsearchPlace {
  readonly kind: 'elasticsearch';
  readonly url: string;
  readonly index: string;
}

/** A way to keep the target equal to the source. */
export interface Contender {
  readonly name: ContenderName;
  /** True: it carries changes over by itself once attached. False: it leaves the target alone. */
  readonly follows: boolean;
  /** Part of the rows of the bulk workloads that it is given: 1, or less where all of them would take minutes. */
  readonly bulkShare: number;
  /** Sets everything up between two equal sides; resolves when changes flow, or throws having left nothing running. */
  attach(place: Place): Promise<Attached>;
}

/** A contender at work. Disposing stops its processes and removes what outlives a dropped database (slots). */
export interface Attached extends AsyncDisposable {
  /** What somebody has to do once a target is up again; absent when nothing is to be done. */
  recover?(): Promise<void>;
  /** Brings all rows to an empty target; only where the workload is a copy. Resolves with figures of its own. */
  copy?(): Promise<Figures>;
  /** What its own process has used since it was attached; absent when it has none. */
  usage?(): Promise<Figures>;
}

/** What a workload has at hand. */
export interface Trial {
  readonly contender: Contender;
  readonly attached: Attached;
  readonly place: Place;
  readonly replica: Replica;
  readonly load: LoadGenerator;
  /** Scales a number of rows, transactions or seconds; at least 1. */
  scaled(size: number): number;
  /** Stops and starts the target's server. */
  readonly targetServer: { stop(): Promise<void>; start(): Promise<void> };
}

export interface Workload {
  readonly name: WorkloadName;
  readonly title: string;
  readonly target: Place['target']['kind'];
  readonly contenders: readonly Contender[];
  /** Rows at scale 1 that the source holds before the contender is attached. */
  preloadRows(contender: Contender): number;
  /** False: the target begins empty although the source does not. */
  readonly preloadTarget: boolean;
  measure(trial: Trial): Promise<Figures>;
}
