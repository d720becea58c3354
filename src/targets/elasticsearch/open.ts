import { PgrepError } from '../../core/error.ts';
import type { Logger } from '../../core/logger.ts';
import { showTable, type Link, type Route } from '../../core/route.ts';
import { monotonicMs } from '../../core/timing.ts';
import type { Applied, Batch, ChangedTable, LinkPosition, Target } from '../target.ts';
import { BulkSender, type RefusedItem } from './bulk-sender.ts';
import { cutBulks, type Bulk } from './bulk.ts';
import { Cluster, type ElasticsearchAddress } from './cluster.ts';
import { documentsCopy } from './copy-statement.ts';
import { prepareRoute, type PreparedRoute } from './index-setup.ts';
import { holdRefused } from './refused-rows.ts';
import { setRefreshing } from './refresh.ts';
import { buildOf, commitMark, isFenceStanding, raiseBuild, readPosition, type SourceStore } from './source-state.ts';
import { sweepOlder } from './sweep.ts';

/** What a link to an Elasticsearch node needs. */
export interface ElasticsearchTargetOptions {
  readonly link: Link;
  readonly node: ElasticsearchAddress;
  /** A session of the source for catalog and position; not the one that reads batches. Stays the caller's to close. */
  readonly source: SourceStore;
  readonly logger: Logger;
}

/**
 * The target of a link whose node is an Elasticsearch cluster: one document a row. Connects at the first use.
 * Rejects with `config` when the CA file cannot be read. An aborted `signal` makes the methods throw its reason.
 */
export function openElasticsearchTarget(options: ElasticsearchTargetOptions): Promise<Target> {
  // The constructor reads the CA file and may throw.
  return new Promise((resolve) => {
    resolve(new ElasticsearchTarget(options));
  });
}

// A delete is remembered for ten minutes; a batch that another replayer overtook must not write for longer.
const fenceCheckMs = 60_000;

class ElasticsearchTarget implements Target {
  readonly reading = 'build';
  readonly wholeBatches = false;
  readonly #options: ElasticsearchTargetOptions;
  readonly #cluster: Cluster;
  readonly #sender: BulkSender;
  #prepared = new Map<string, PreparedRoute>();
  #raised = false;

  constructor(options: ElasticsearchTargetOptions) {
    this.#options = options;
    this.#cluster = new Cluster(options.link.target, options.node);
    this.#sender = new BulkSender(this.#cluster);
  }

  async prepare(routes: readonly Route[], signal: AbortSignal): Promise<void> {
    const { source, logger } = this.#options;
    if (!this.#raised) await raiseBuild(source);
    this.#raised = true;
    const prepared = new Map<string, PreparedRoute>();
    for (const route of routes) {
      const ready = await prepareRoute(this.#cluster, source, route, signal);
      if (ready.destination.alias === null) {
        logger.warn(
          { index: ready.destination.index },
          'No alias to write through: should the index be deleted, it may be made anew with a mapping of its own',
        );
      }
      prepared.set(route.id, ready);
    }
    this.#prepared = prepared;
  }

  position(): Promise<LinkPosition> {
    return readPosition(this.#options.source, this.#options.link);
  }

  async apply(batch: Batch, signal: AbortSignal): Promise<Applied> {
    const build = buildOf(batch);
    const fence = new FenceWatch(this.#options, batch);
    await this.#refreshSeldom(batch, signal);
    let keys = 0;
    let held = 0;
    for (const table of batch.tables) {
      const prepared = this.#preparedFor(table.route);
      const stream = batch.copyOut(documentsCopy(prepared.shape, table, build), table.byHash);
      const bulks = fence.while(cutBulks(stream, this.#sender.bulkBytes));
      const { items, refused } = await this.#sender.sendAll(prepared.destination, bulks, signal);
      keys += items;
      held += await this.#hold({ batch, table, prepared, build }, refused);
      if (table.sweep && !fence.lost) {
        const to = { cluster: this.#cluster, sender: this.#sender, destination: prepared.destination, build };
        keys += await sweepOlder(to, signal);
      }
      if (fence.lost) return { committed: false, keys: 0, held: 0 };
    }
    await this.#refreshAgain(batch, signal);
    signal.throwIfAborted();
    const committed = await commitMark(this.#options.source, this.#options.link, batch);
    return committed ? { committed, keys, held } : { committed, keys: 0, held: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  /**
   * While a table is copied for the first time nobody searches for what is not there as a whole: from the second chunk on the index is
   * refreshed seldom. Not where the copy is a repeated one, whose index is in use.
   */
  async #refreshSeldom({ mark, tables }: Batch, signal: AbortSignal): Promise<void> {
    if (mark.kind !== 'copy' || mark.table.copied || mark.seenRows === 0) return;
    for (const { route } of tables) {
      if (!route.sweep && this.#preparedFor(route).refreshing === 'default') await this.#setRefreshing(route.id, 'seldom', signal); // prettier-ignore
    }
  }

  async #refreshAgain({ mark }: Batch, signal: AbortSignal): Promise<void> {
    if (mark.kind !== 'copy' || !mark.table.copied) return;
    if (this.#prepared.get(mark.routeId)?.refreshing === 'seldom') await this.#setRefreshing(mark.routeId, 'default', signal); // prettier-ignore
  }

  async #setRefreshing(routeId: string, refreshing: 'default' | 'seldom', signal: AbortSignal): Promise<void> {
    const prepared = this.#prepared.get(routeId);
    if (prepared === undefined) return;
    await setRefreshing(this.#cluster, prepared.destination.index, refreshing, signal);
    this.#prepared.set(routeId, { ...prepared, refreshing });
  }

  #preparedFor(route: Route): PreparedRoute {
    const prepared = this.#prepared.get(route.id);
    if (prepared !== undefined) return prepared;
    throw new PgrepError('bug', `Route ${route.id} of ${showTable(route.sourceTable)} was not prepared.`);
  }

  async #hold(
    from: { batch: Batch; table: ChangedTable; prepared: PreparedRoute; build: string },
    refused: readonly RefusedItem[],
  ): Promise<number> {
    return refused.length === 0 ? 0 : holdRefused(from, refused);
  }
}

/** Stops a long batch soon after another replayer has moved the link on. */
class FenceWatch {
  lost = false;
  readonly #options: ElasticsearchTargetOptions;
  readonly #batch: Batch;
  #checkedAt = monotonicMs();

  constructor(options: ElasticsearchTargetOptions, batch: Batch) {
    this.#options = options;
    this.#batch = batch;
  }

  async *while(bulks: AsyncIterable<Bulk>): AsyncGenerator<Bulk> {
    for await (const bulk of bulks) {
      if (monotonicMs() - this.#checkedAt > fenceCheckMs) {
        this.lost = !(await isFenceStanding(this.#options.source, this.#options.link, this.#batch));
        if (this.lost) return;
        this.#checkedAt = monotonicMs();
      }
      yield bulk;
    }
  }
}
