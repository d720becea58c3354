import { after } from '../core/timing.ts';
import type { Session } from '../db/session.ts';

/**
 * Wakes replayers of one source when a transaction with changes commits there. While somebody waits, the doorbell is set and
 * capture triggers notify; under load nobody waits, the doorbell is off and commits pay nothing for it (a NOTIFY makes them
 * wait for each other: 4,000 transactions a second instead of 10,000). It is set for a minute at a time, so that a replayer that
 * was killed does not leave it on.
 */
export class Doorbell {
  readonly #session: Session;
  readonly #waiting = new Set<() => void>();
  #rung = 0;

  /** Starts to listen over a session of its own. */
  static async open(session: Session): Promise<Doorbell> {
    const doorbell = new Doorbell(session);
    session.onNotify(() => {
      doorbell.ring();
    });
    // Setval writes WAL; nothing depends on it being flushed.
    await session.script('set synchronous_commit = off; listen pgrep');
    return doorbell;
  }

  private constructor(session: Session) {
    this.#session = session;
  }

  /** How often it has rung: a ring between two readings was not missed. */
  get rung(): number {
    return this.#rung;
  }

  /** Wakes all that wait, as a notification does. */
  ring(): void {
    this.#rung += 1;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Makes triggers notify from now on, for a minute. The caller has to look once more before it waits. */
  async set(): Promise<void> {
    await this.#session.query(
      `select pg_catalog.setval('pgrep.doorbell', pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp()))::bigint + ${setSeconds})`,
    );
  }

  /**
   * Triggers need not notify any more (a steady stream, a target that is down, the end), unless another link of this source still
   * waits here. Other daemons' links poll.
   */
  async clear(): Promise<void> {
    if (this.#waiting.size > 0) return;
    await this.#session.query("select pg_catalog.setval('pgrep.doorbell', 1)");
  }

  /** Waits for a ring after the reading `seen` of `rung`, at most `ms`. Ends without an error when `signal` aborts. */
  wait(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#rung !== seen || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = after(ms, done);
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

const setSeconds = 60;
/** A look that finds the doorbell set for less than this sets it again, s. */
export const doorbellRenewSeconds = 20;
