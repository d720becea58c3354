import type { Cluster, TortureNode } from '../cluster.ts';
import { seededRandom } from '../random.ts';
import type { KeyRange } from './operations.ts';
import { nothingWritten, write } from './writer.ts';

/** The writers of a run, by node. */
export class Writers {
  readonly written = nothingWritten();
  readonly #cluster: Cluster;
  readonly #options: { readonly seed: number; readonly keys: () => KeyRange; readonly perNode: number };
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<unknown> }>();

  constructor(
    cluster: Cluster,
    options: { readonly seed: number; readonly keys: () => KeyRange; readonly perNode: number },
  ) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Starts the writers of a node; each has a stream of its own under the seed. */
  start(node: TortureNode): void {
    const { seed, keys, perNode } = this.#options;
    const stop = new AbortController();
    const open = () => this.#cluster.session(node);
    const writers = Array.from(
      { length: perNode },
      (_, place) =>
      write({ random: seededRandom(seed, `writer ${node.name} ${place}`), keys, written: this.written, open }, stop.signal), // prettier-ignore
    );
    this.#running.set(node.name, { stop, ended: Promise.all(writers) });
  }

  /** Stops the writers of a node, or all; each ends its transaction first. */
  async stop(node?: TortureNode): Promise<void> {
    const names = node === undefined ? [...this.#running.keys()] : [node.name];
    const stopped = names.flatMap((name) => this.#running.get(name) ?? []);
    for (const { stop } of stopped) stop.abort();
    await Promise.all(stopped.map(({ ended }) => ended));
    for (const name of names) this.#running.delete(name);
  }
}
