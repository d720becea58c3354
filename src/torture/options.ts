/** How nodes are linked: all with all; in a row; all with the first. */
export type Topology = 'mesh' | 'chain' | 'star';

/** All topologies, for messages. */
export const topologies: readonly Topology[] = ['mesh', 'chain', 'star'];

/** What a run of torture is asked for. */
export interface TortureOptions {
  /** Nodes at the beginning; one more joins on the way. */
  readonly nodes: number;
  readonly seconds: number;
  readonly seed: number;
  readonly topology: Topology;
  /** True: data and logs stay, also after success. */
  readonly keep: boolean;
  /** The program to run replayers with: path of the built `main.js`. */
  readonly program: string;
}

/** Tells the user how far the run is. */
export type Say = (line: string) => void;
