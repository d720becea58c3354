import type { Logger } from '../core/logger.ts';
import { parseSnapshot } from '../core/position.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { takeRetryRequests, wakeBlocked, wakeMissingParents } from '../failures/error-records.ts';
import type { Doorbell } from '../queue/doorbell.ts';
import type { Peek } from '../queue/peek.ts';
import { foldMs } from '../versions/fold-sql.ts';
import { applyBatch, applyNothing, joining, type BatchOutcome } from './batch-step.ts';
import type { LinkSession } from './link-session.ts';
import { reportLink, type LinkReport } from './link-state.ts';
import { isFlushDue, restMs, smoothRate } from './pacing.ts';
import { retryOldest } from './retry-step.ts';

export interface LoopSettings {
  readonly maxBatchRows: number;
  readonly pollMs: number;
}

/** Hooks for metrics; called after each batch. */
export interface LoopObserver {
  batch(batch: { keys: number; held: number; ms: number }): void;
}

interface LoopState {
  /** The generation that the routes were loaded at, or an earlier one. */
  generation: string;
  originChecked: boolean;
  /** Batches since the link last waited for work. */
  busy: number;
  rate: number;
  catchingUp: boolean;
  lastFlushMs: number;
  /** True while a commit at the target may not be flushed yet. */
  unflushed: boolean;
  lastReportMs: number;
  lastWakeMs: number;
  /** True when rows that wait for a parent are to be woken as soon as `wakeMs` allow it. */
  wakeDue: boolean;
  /** `Arrived.batches` when blocked rows were last woken, and when that was. */
  unblocked: string;
  unblockedMs: number;
  /** True when a batch was sent since, beside held rows. */
  sent: boolean;
  /** `Arrived.batches` as of the last batch, and when that was. */
  told: string;
  toldMs: number;
  foldedMs: number;
  /** How long the next wait for the doorbell may take while transactions are open that may not ring it. */
  waitMs: number;
}

/**
 * Replays one link until `signal` aborts. Every error ends it: the caller decides whether and when to begin again with a new
 * session. Nothing is kept between sessions.
 */
export class LinkLoop {
  readonly #session: LinkSession;
  readonly #doorbell: Doorbell;
  readonly #settings: LoopSettings;
  readonly #observer: LoopObserver;
  readonly #logger: Logger;
  readonly #state: LoopState = {
    generation: '',
    originChecked: false,
    busy: 0,
    rate: 0,
    catchingUp: false,
    lastFlushMs: monotonicMs(),
    unflushed: false,
    lastReportMs: 0,
    lastWakeMs: 0,
    wakeDue: false,
    unblocked: '0',
    unblockedMs: -Infinity,
    sent: false,
    told: '0',
    toldMs: 0,
    foldedMs: 0,
    waitMs: firstWaitMs,
  };

  constructor(parts: {
    session: LinkSession;
    doorbell: Doorbell;
    settings: LoopSettings;
    observer: LoopObserver;
    logger: Logger;
  }) {
    this.#session = parts.session;
    this.#doorbell = parts.doorbell;
    this.#settings = parts.settings;
    this.#observer = parts.observer;
    this.#logger = parts.logger;
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#state.generation = await this.#session.loadRoutes(signal);
    await this.#report({ state: 'running', lastError: null });
    while (!signal.aborted) await this.#turn(signal);
  }

  /** One look and what it calls for. */
  async #turn(signal: AbortSignal): Promise<void> {
    const seen = this.#doorbell.rung;
    const found = await this.#session.reader.look(this.#session.lookedAt(), this.#settings.maxBatchRows + 1);
    const { peek } = found;
    if (!this.#state.originChecked) {
      this.#state.originChecked = true;
      // After a crash the target confirms what it has at once, also where nothing is queued.
      if (this.#session.crashed) Object.assign(this.#state, { unflushed: true, lastFlushMs: -Infinity });
      // A position that was set back has more to look for.
      if (this.#session.checkOrigin(this.#logger, parseSnapshot(peek.snapshot).xmax)) return this.#session.reader.end();
    }
    if (peek.generation !== this.#state.generation) return this.#reload(signal);
    if (peek.changed.size > 0) return this.#batch(found, signal);
    await this.#session.reader.end();
    if (await this.#wakeBlocked(peek)) return;
    if (await this.#retry(peek, signal)) return;
    await this.#idle(peek, seen, signal);
  }

  async #reload(signal: AbortSignal): Promise<void> {
    await this.#session.reader.end();
    this.#state.generation = await this.#session.loadRoutes(signal);
  }

  async #batch(found: { peek: Peek; build: string | null }, signal: AbortSignal): Promise<void> {
    const state = this.#state;
    const begun = monotonicMs();
    const durable = isFlushDue(begun, state.lastFlushMs);
    const outcome = await applyBatch(
      this.#session,
      found,
      { maxBatchRows: this.#settings.maxBatchRows, durable },
      signal,
    );
    if (outcome.again) return;
    this.#told(found.peek);
    await this.#fold();
    const ms = monotonicMs() - begun;
    state.rate = smoothRate(state.rate, outcome.keys, ms);
    state.catchingUp = outcome.catchingUp;
    this.#observer.batch({ keys: outcome.keys, held: outcome.held, ms });
    await this.#flushed(durable);
    state.sent ||= found.peek.held;
    if (found.peek.held) await this.#wakeParents();
    state.busy += 1;
    await this.#afterBatch(outcome, ms, found.peek.doorbell, signal);
  }

  /** Under a steady stream: rest, and let the triggers be. After a lone change: go straight to waiting. */
  async #afterBatch(outcome: BatchOutcome, ms: number, doorbell: boolean, signal: AbortSignal): Promise<void> {
    if (outcome.catchingUp) return;
    if (this.#state.busy < steadyBatches) return;
    if (doorbell) await this.#doorbell.clear();
    await pause(restMs(ms), signal);
  }

  async #flushed(durable: boolean): Promise<void> {
    const state = this.#state;
    state.unflushed = !durable;
    const now = monotonicMs();
    if (durable) state.lastFlushMs = now;
    const confirmed =
      durable && this.#session.position.snapshot !== null ? { confirmed: this.#session.position.snapshot } : {};
    if (!durable && now - state.lastReportMs < reportMs) return;
    await this.#report({ rate: state.rate, catchingUp: state.catchingUp, ...confirmed });
  }

  async #retry(peek: Peek, signal: AbortSignal): Promise<boolean> {
    const requested = peek.requested ? await takeRetryRequests(this.#session.control) : null;
    if (requested === null && !peek.due) return false;
    const outcome = await retryOldest(
      this.#session,
      { limit: requested ?? retryLimit, all: requested !== null },
      signal,
    );
    if (outcome.tried > 0) this.#logger.info({ ...outcome }, 'tried held rows again');
    if (outcome.succeeded > 0) await this.#wakeParents();
    return outcome.tried > 0;
  }

  /** Nothing to do: flush what is not yet, then wait for the doorbell. */
  async #idle(peek: Peek, seen: number, signal: AbortSignal): Promise<void> {
    const state = this.#state;
    if (state.wakeDue) await this.#wakeParents();
    if (state.catchingUp || state.rate !== 0) {
      state.catchingUp = false;
      state.rate = 0;
      await this.#report({ rate: 0, catchingUp: false });
    }
    if (state.unflushed && isFlushDue(monotonicMs(), state.lastFlushMs)) return this.#flush(peek, signal);
    if (this.#hasToTell(peek) || this.#hasToJoin(peek)) return this.#flush(peek, signal);
    state.busy = 0;
    if (!peek.doorbell) {
      // Set after the look: look once more before waiting, or a commit in between would go unheard.
      state.waitMs = firstWaitMs;
      return this.#doorbell.set();
    }
    // A transaction that wrote before the doorbell was set and is still open will not ring: look for it soon, then ever less often.
    const open = parseSnapshot(peek.snapshot).xip.length > 0;
    const ms = open ? Math.min(state.waitMs, this.#settings.pollMs) : this.#settings.pollMs;
    state.waitMs = ms * 2;
    await this.#doorbell.wait(seen, ms, signal);
  }

  /** An empty batch whose commit is flushed, and with it all before. */
  async #flush(peek: Peek, signal: AbortSignal): Promise<void> {
    if (!(await applyNothing(this.#session, peek, signal))) return;
    this.#told(peek);
    await this.#flushed(true);
  }

  /** True when rows came in from other nodes since the target was last told, and the link has been idle for a moment. */
  #hasToTell({ arrived }: Peek): boolean {
    return arrived !== null && arrived.batches !== this.#state.told && monotonicMs() - this.#state.toldMs >= tellMs;
  }

  /** True when copied tables of a two-way link wait for a batch to join it by: until they have, versions are kept for them everywhere. */
  #hasToJoin({ arrived }: Peek): boolean {
    return arrived !== null && joining(this.#session).length > 0;
  }

  #told({ arrived }: Peek): void {
    if (arrived === null) return;
    this.#state.told = arrived.batches;
    this.#state.toldMs = monotonicMs();
  }

  /** Keeps the part of the queue small that each batch has to read for the versions of its rows. */
  async #fold(): Promise<void> {
    const { versions } = this.#session;
    if (versions === null || monotonicMs() - this.#state.foldedMs < foldMs) return;
    this.#state.foldedMs = monotonicMs();
    await versions.fold(this.#session.control);
  }

  /** What arrived here, or was sent, may have made room for held rows, or have decided them: their next attempt may be an hour away. True: look again. */
  async #wakeBlocked({ held, arrived }: Peek): Promise<boolean> {
    const state = this.#state;
    const now = monotonicMs();
    if (!held || arrived === null || (arrived.batches === state.unblocked && !state.sent)) return false;
    if (now - state.unblockedMs < unblockMs) return false;
    Object.assign(state, { unblocked: arrived.batches, unblockedMs: now, sent: false });
    await wakeBlocked(this.#session.control, this.#session.link.target);
    return true;
  }

  async #wakeParents(): Promise<void> {
    const now = monotonicMs();
    this.#state.wakeDue = now - this.#state.lastWakeMs < wakeMs;
    if (this.#state.wakeDue) return;
    this.#state.lastWakeMs = now;
    await wakeMissingParents(this.#session.control, this.#session.link.target);
  }

  async #report(report: LinkReport): Promise<void> {
    this.#state.lastReportMs = monotonicMs();
    await reportLink(this.#session.control, this.#session.link.target, report);
  }
}

// Rows that are due are tried in batches of this size, so that a long list does not hold up changes.
const retryLimit = 500;
// What has arrived is told soon enough for peers to let go of versions, seldom enough not to be a batch for each of theirs.
const tellMs = 1_000;
// The link's state is for people: once a second is often enough.
const reportMs = 1_000;
// Rows that wait for a parent are tried at most this often under load.
const wakeMs = 1_000;
// Under load something arrives all the time, and what is held may be much.
const unblockMs = 5_000;
// This many batches without a wait between them are a steady stream.
const steadyBatches = 3;
// About the time that a commit takes.
const firstWaitMs = 5;
