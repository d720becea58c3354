import { pause } from '../../core/timing.ts';
import { sqlState } from '../../db/sqlstate.ts';
import type { Session } from '../../db/session.ts';
import type { Random } from '../random.ts';
import { drawTransaction, type KeyRange, type Operation } from './operations.ts';

/** What the writers of a run did. */
export interface Written {
  committed: number;
  /** Transactions that ended in an error, by SQLSTATE; the empty one: the connection was lost. */
  readonly refused: Map<string, number>;
  /** Operations of committed transactions by kind. */
  readonly operations: Map<string, number>;
}

/** Counts of nothing yet. */
export function nothingWritten(): Written {
  return { committed: 0, refused: new Map(), operations: new Map() };
}

/** What a writer needs. */
export interface WriterOptions {
  readonly random: Random;
  /** The keys of the moment. */
  readonly keys: () => KeyRange;
  readonly written: Written;
  /** Opens a session of its node; fails while the server is down. */
  readonly open: () => Promise<Session>;
}

/** Writes one transaction after the other until `signal` aborts. A transaction that fails is rolled back, and the next one drawn. */
export async function write({ random, keys, written, open }: WriterOptions, signal: AbortSignal): Promise<void> {
  let session: Session | null = null;
  while (!signal.aborted) {
    const { operations, holdMs, pauseMs } = drawTransaction(random, keys());
    try {
      if (session === null || session.lost.aborted) session = await open();
      await transact(session, operations, () => pause(holdMs, signal));
      written.committed += 1;
      for (const { kind } of operations) add(written.operations, kind);
    } catch (error) {
      add(written.refused, sqlState(causeOf(error)));
      await session?.query('rollback').catch(() => session?.destroy());
    }
    await pause(session?.lost.aborted === false ? pauseMs : reopenMs, signal);
  }
  await session?.[Symbol.asyncDispose]();
}

async function transact(session: Session, operations: readonly Operation[], hold: () => Promise<void>): Promise<void> {
  await session.query('begin');
  for (const { kind, text, values } of operations) {
    if (kind === 'truncate') await session.query('select pgrep_torture.before_truncate()');
    await session.query(text, values);
  }
  await hold();
  await session.query('select pgrep_torture.log_commit()');
  await session.query('commit');
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

// A server that was killed is away for some seconds.
const reopenMs = 200;
