import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { OnBatch } from '../core/applied-batch.ts';

/** One link at the moment of a scrape; null: a node cannot be asked. */
export interface LinkSample {
  readonly source: string;
  readonly target: string;
  readonly state: string;
  readonly lagSeconds: number | null;
  readonly lagKeys: number | null;
  /** Keys a second over the last batches. */
  readonly rate: number;
  readonly held: number;
}

/** The numbers of a daemon, per link, in Prometheus' text format. */
export interface Metrics {
  /** Counts a committed batch. */
  readonly applied: OnBatch;
  readonly contentType: string;
  /** The page, with lag and state of these links; a link that is not among them has no series. */
  page(links: readonly LinkSample[]): Promise<string>;
}

const link = ['source', 'target'] as const;

/** Every state has a series, so that an alert can name one that has not occurred yet. */
const states = ['running', 'retrying', 'stopped', 'copying', 'no daemon'];

/** Makes a registry of its own: two daemons in one process do not mix. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const counter = (name: string, help: string): Counter<'source' | 'target'> =>
    new Counter({ name, help, labelNames: link, registers });
  const gauge = (name: string, help: string): Gauge<'source' | 'target'> =>
    new Gauge({ name, help, labelNames: link, registers });
  const batches = counter('pgrep_batches_total', 'Batches committed at the target.');
  const keys = counter('pgrep_keys_total', 'Keys made equal at the target.');
  const refused = counter('pgrep_held_total', 'Rows that the target refused, each time it did.');
  const seconds = counter('pgrep_batch_seconds_total', 'Time spent in committed batches.');
  const lagSeconds = gauge(
    'pgrep_lag_seconds',
    'Age of the oldest change that is not at the target; NaN when unknown.',
  );
  const lagKeys = gauge('pgrep_lag_keys', 'Queued keys that are not at the target; NaN when unknown.');
  const rate = gauge('pgrep_rate', 'Keys a second over the last batches.');
  const held = gauge('pgrep_held', 'Records in sync_err_rec.');
  const state = new Gauge({
    name: 'pgrep_link_state',
    help: 'What the link does: 1 for its state, 0 for the others.',
    labelNames: [...link, 'state'] as const,
    registers,
  });
  return {
    applied: (batch) => {
      const labels = { source: batch.source, target: batch.target };
      batches.inc(labels);
      keys.inc(labels, batch.keys);
      refused.inc(labels, batch.held);
      seconds.inc(labels, batch.seconds);
    },
    contentType: registry.contentType,
    page: async (links) => {
      for (const each of [lagSeconds, lagKeys, rate, held, state]) each.reset();
      for (const one of links) {
        const labels = { source: one.source, target: one.target };
        lagSeconds.set(labels, one.lagSeconds ?? NaN);
        lagKeys.set(labels, one.lagKeys ?? NaN);
        rate.set(labels, one.rate);
        held.set(labels, one.held);
        for (const name of states) state.set({ ...labels, state: name }, name === one.state ? 1 : 0);
      }
      return await registry.metrics();
    },
  };
}
