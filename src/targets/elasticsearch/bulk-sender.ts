import { backoffMs } from '../../core/backoff.ts';
import { PgrepError } from '../../core/error.ts';
import { monotonicMs, pause } from '../../core/timing.ts';
import { judgeItem, judgeRequest } from './answer.ts';
import type { Bulk } from './bulk.ts';
import { deniedError, parseObject, serverReason, type Answer, type Cluster } from './cluster.ts';

/** A document that the index refuses, by its id. */
export interface RefusedItem {
  readonly id: string;
  /** Elasticsearch's error type. */
  readonly type: string;
  readonly message: string;
}

/** Where documents go. */
export interface Destination {
  readonly index: string;
  /** The alias to write through; equal to `index` when that is an alias itself, null: straight to the index. */
  readonly alias: string | null;
}

// With 1 MiB and three under way a copy reached 0.77 (0.76-1.01) of a bare bulk loop, with 4 MiB and two 0.76 (0.63-0.88).
const largestBulkBytes = 1024 * 1024;
const smallestBulkBytes = 64 * 1024;
// Some are being indexed while the next is being read and sent.
const largestInFlight = 3;
// A bulk of tiny deletes would have too many items for one answer.
const largestItems = 20_000;
// After this the link backs off as a whole, and the batch begins again from the kept position.
const patienceMs = 60_000;

// Nothing of the answer but what is judged, so that 20,000 items cost 500 kB instead of 4 MB.
const filterPath = 'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason';

/** Sends bulks to one cluster, at most two at a time, smaller ones while the cluster is overloaded. */
export class BulkSender {
  readonly #cluster: Cluster;
  #bulkBytes = largestBulkBytes;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** How large a bulk should be now. */
  readonly bulkBytes = (): number => this.#bulkBytes;

  /**
   * Sends all bulks and returns what was refused; when it returns, each item was acknowledged or is among those.
   * Reads the next bulk while at most two are under way. Throws as the contract of `Target.apply` says.
   */
  async sendAll(
    destination: Destination,
    bulks: AsyncIterable<Bulk>,
    signal: AbortSignal,
  ): Promise<{ items: number; refused: RefusedItem[] }> {
    const refused: RefusedItem[] = [];
    const underWay = new Set<Promise<void>>();
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    let items = 0;
    try {
      for await (const bulk of bulks) {
        items += bulk.count;
        for (let from = 0; from < bulk.count; from += largestItems) {
          const part = bulk.slice(from, Math.min(from + largestItems, bulk.count));
          const sending = this.#send(destination, part, refused, stop);
          underWay.add(sending);
          void sending.then(() => underWay.delete(sending), noop);
          if (underWay.size >= largestInFlight) await Promise.race(underWay);
        }
      }
      await Promise.all(underWay);
    } finally {
      failed.abort(new PgrepError('unreachable', 'Another bulk of the batch failed.'));
      await Promise.allSettled(underWay);
    }
    return { items, refused };
  }

  /** Sends until each item is settled: acknowledged, or among `refused`. */
  async #send(destination: Destination, first: Bulk, refused: RefusedItem[], signal: AbortSignal): Promise<void> {
    const waiting = [first];
    const overload = { sinceMs: monotonicMs(), attempts: 0 };
    for (let bulk = waiting.pop(); bulk !== undefined; bulk = waiting.pop()) {
      const answer = await this.#post(destination, bulk, signal);
      const verdict = judgeRequest(answer.status);
      switch (verdict) {
        case 'items': {
          const again = this.#judgeItems(destination, bulk, answer, refused);
          if (again === null) this.#speedUp(overload);
          else waiting.push(...(await this.#lessAtOnce(again, overload, { answer, refused, signal })));
          break;
        }
        case 'overloaded':
          waiting.push(...(await this.#lessAtOnce(bulk, overload, { answer, refused, signal })));
          break;
        case 'poisoned':
        case 'tooLarge':
          if (bulk.count > 1) waiting.push(...bulk.halves().reverse());
          else refused.push({ id: bulk.idOf(0), ...requestError(answer) });
          break;
        case 'down':
        case 'denied':
        case 'missing':
        case 'unexpected':
          throw this.#stop(destination, verdict, answer.text, answer.status);
      }
    }
  }

  async #post(destination: Destination, bulk: Bulk, signal: AbortSignal): Promise<Answer> {
    const guard = destination.alias === null ? {} : { require_alias: 'true' };
    const path = `/${encodeURIComponent(destination.alias ?? destination.index)}/_bulk`;
    return this.#cluster.request(
      { method: 'POST', path, query: { filter_path: filterPath, ...guard }, bulk: bulk.body },
      signal,
    );
  }

  /** Returns the items that are to be sent again, null when all are settled. */
  #judgeItems(destination: Destination, bulk: Bulk, answer: Answer, refused: RefusedItem[]): Bulk | null {
    // The answer to a good bulk is not parsed: only its two ends are looked at.
    if (answer.text.startsWith('{"errors":false') && answer.text.endsWith(']}')) return null;
    const items = itemResults(answer.text);
    if (items?.length !== bulk.count) {
      throw new PgrepError('unreachable', `Node ${this.#cluster.node} sent half an answer to a bulk request.`);
    }
    const again: number[] = [];
    items.forEach((item, index) => {
      const verdict = judgeItem(item.status, item.type);
      if (verdict === 'overloaded') again.push(index);
      else if (verdict === 'refused') {
        refused.push({ id: bulk.idOf(index), type: item.type ?? `http_${item.status}`, message: item.reason });
      } else if (verdict !== 'done') throw this.#stop(destination, verdict, item.reason, item.status);
    });
    return again.length === 0 ? null : bulk.pick(again);
  }

  #speedUp(overload: Overload): void {
    this.#bulkBytes = Math.min(largestBulkBytes, Math.ceil(this.#bulkBytes * 1.25));
    overload.sinceMs = monotonicMs();
    overload.attempts = 0;
  }

  /** Waits, then gives what was rejected in halves, last first. A document that is too large even alone is refused in the end. */
  async #lessAtOnce(
    bulk: Bulk,
    overload: Overload,
    { answer, refused, signal }: { answer: Answer; refused: RefusedItem[]; signal: AbortSignal },
  ): Promise<Bulk[]> {
    this.#bulkBytes = Math.max(smallestBulkBytes, this.#bulkBytes / 2);
    overload.attempts += 1;
    const waitMs = Math.max(backoffMs(overload.attempts), answer.retryAfterMs ?? 0);
    if (monotonicMs() + waitMs - overload.sinceMs <= patienceMs) {
      await pause(waitMs, signal);
      return bulk.count > 1 ? bulk.halves().reverse() : [bulk];
    }
    if (bulk.count === 1 && bulk.body.length > largestBulkBytes) {
      refused.push({ id: bulk.idOf(0), ...requestError(answer) });
      return [];
    }
    throw new PgrepError('overloaded', `Node ${this.#cluster.node} has been asking for less load for a minute.`, {
      hint: 'Nothing is lost: the link goes on when the cluster has recovered. Check its CPU, heap and disk watermarks.',
    });
  }

  #stop(
    { index, alias }: Destination,
    verdict: 'down' | 'denied' | 'missing' | 'blocked' | 'unexpected',
    text: string,
    status: number,
  ): PgrepError {
    const { node } = this.#cluster;
    const reason = serverReason(text);
    switch (verdict) {
      case 'down':
        return new PgrepError('unreachable', `Node ${node} answered ${status}: ${reason}.`);
      case 'denied':
        return deniedError(node, text);
      case 'missing':
        return new PgrepError('target', `Index ${index} at node ${node} is missing: ${reason}.`, {
          hint: `Its documents are gone, so the route must be set up again: pgrep remove-table and pgrep add-table with --to ${node}. If only the alias ${alias ?? index} was removed, put it back.`,
        });
      case 'blocked':
        return new PgrepError('target', `Index ${index} at node ${node} takes no writes: ${reason}.`, {
          hint: `Open it (POST /${index}/_open) or remove its block (PUT /${index}/_settings {"index.blocks.write": null, "index.blocks.read_only": null, "index.blocks.read_only_allow_delete": null}).`,
        });
      case 'unexpected':
        return new PgrepError('target', `Node ${node} answered ${status} to a bulk request: ${reason}.`, {
          hint: `Check that nodes.${node}.elasticsearch is the cluster itself and not another web server.`,
        });
    }
  }
}

const noop = (): void => undefined;

/** How long and how often a cluster has been rejecting in one run. */
interface Overload {
  sinceMs: number;
  attempts: number;
}

function requestError(answer: Answer): { type: string; message: string } {
  const error = parseObject(answer.text)?.['error'];
  const type =
    typeof error === 'object' && error !== null && 'type' in error ? String(error.type) : `http_${answer.status}`;
  return { type, message: serverReason(answer.text) };
}

interface ItemResult {
  readonly status: number;
  readonly type: string | undefined;
  readonly reason: string;
}

function itemResults(text: string): ItemResult[] | null {
  const items = parseObject(text)?.['items'];
  if (!Array.isArray(items)) return null;
  return items.map((item: Readonly<Record<string, RawResult>>) => {
    const result = Object.values(item)[0];
    const cause = result?.error?.caused_by?.reason;
    const reason = result?.error?.reason ?? '';
    return {
      status: result?.status ?? 0,
      type: result?.error?.type,
      reason: cause === undefined ? reason : `${reason} (${cause})`,
    };
  });
}

interface RawResult {
  readonly status?: number;
  readonly error?: {
    readonly type?: string;
    readonly reason?: string;
    readonly caused_by?: { readonly reason?: string };
  };
}
