import { backoffMs } from '../core/backoff.ts';
import { PgrepError } from '../core/error.ts';
import { showTable } from '../core/route.ts';
import { monotonicMs, pause } from '../core/timing.ts';
import { tableIdent } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { isLockFailure } from '../db/sqlstate.ts';
import { readSelf } from './init.ts';
import { alterSql, isInterleaved, numbersLeft, planSequence, strideOf, type SequencePlan } from './interleaving.ts';
import { nextValue, readHighest, readKeySequence, readLastValue, type KeySequence } from './key-sequences.ts';
import type { App } from './open.ts';
import type { PlannedSql } from './results.ts';
import type { GroupMember, TableGroup } from './two-way-groups.ts';

export interface InterleaveOptions {
  /** All nodes that have the table, also those that were set before. A node without an id yet (dry run) brings the one it will get. */
  readonly group: readonly (GroupMember & { readonly nodeId?: number })[];
  readonly dryRun: boolean;
}

export interface InterleavedSequence {
  readonly node: string;
  /** `schema.name`. */
  readonly table: string;
  readonly column: string;
  readonly sequence: string;
  readonly change: 'set' | 'unchanged';
  /** The node's numbers are this far apart. */
  readonly increment: string;
  /** The number that it gives next; in a dry run, as of now. */
  readonly next: string;
}

export interface InterleaveResult {
  readonly sequences: readonly InterleavedSequence[];
  /** With `dryRun`: what would run. */
  readonly sql: readonly PlannedSql[];
  readonly warnings: readonly string[];
}

/**
 * Gives the sequences of a two-way table's key columns numbers that no other node gives: increment 256 (or 32), each node beginning at
 * its id. If one node's is not so yet, all go on above what any node has used, under a lock on all of them at once, so that no number in between can
 * be given twice. If all are, nothing is done. To be repeated when a node joins. Throws `no` when a lock cannot be had.
 */
export async function interleaveSequences(
  app: App,
  options: InterleaveOptions,
  signal: AbortSignal,
): Promise<InterleaveResult> {
  const results: InterleaveResult[] = [];
  for (const place of (options.group[0]?.key ?? []).keys()) {
    signal.throwIfAborted();
    results.push(await interleaveColumn(app, { ...options, place }, signal));
  }
  return {
    sequences: results.flatMap(({ sequences }) => sequences),
    sql: results.flatMap(({ sql }) => sql),
    warnings: results.flatMap(({ warnings }) => warnings),
  };
}

/** The sequences of one key column (by its place in the key) at the members that have one. */
export async function groupSequences(
  app: App,
  group: InterleaveOptions['group'],
  place: number,
): Promise<readonly KeySequence[]> {
  const found: KeySequence[] = [];
  for (const { node, nodeId, table, key } of group) {
    const session = await app.session(node);
    const id = nodeId ?? (await readSelf(session))?.nodeId;
    if (id === undefined) throw new PgrepError('bug', `Node ${node} has no node id.`);
    const sequence = await readKeySequence(session, { nodeId: id, table, column: key[place] ?? '' });
    if (sequence !== null) found.push(sequence);
  }
  return found;
}

async function interleaveColumn(
  app: App,
  { group, dryRun, place }: InterleaveOptions & { place: number },
  signal: AbortSignal,
): Promise<InterleaveResult> {
  const sequences = await groupSequences(app, group, place);
  const stride = strideOf(sequences);
  if (sequences.every((sequence) => isInterleaved(sequence, stride)))
    return { sequences: sequences.map((sequence) => shown(sequence, null)), sql: [], warnings: [] };
  const inRows = await highestInRows(app, group, place);
  const plans = dryRun
    ? planAll(sequences, stride, inRows)
    : await setPatiently(app, { sequences, stride, inRows }, signal);
  return {
    sequences: sequences.map((sequence, index) => shown(sequence, plans[index] ?? null)),
    sql: dryRun ? plannedSql(sequences, plans) : [],
    warnings: sequences.flatMap((sequence, index) => scarcity(sequence, plans[index])),
  };
}

async function highestInRows(app: App, group: TableGroup, place: number): Promise<bigint> {
  let highest = 0n;
  for (const { node, table, key } of group) {
    const found = await readHighest(await app.session(node), table, key[place] ?? '');
    if (found > highest) highest = found;
  }
  return highest;
}

function planAll(sequences: readonly KeySequence[], stride: bigint, inRows: bigint): readonly SequencePlan[] {
  const highest = sequences.reduce((most, { lastValue, isCalled }) => (isCalled && lastValue > most ? lastValue : most), inRows); // prettier-ignore
  return sequences.map((sequence) => planSequence(sequence, stride, highest));
}

interface Setting {
  readonly sequences: readonly KeySequence[];
  readonly stride: bigint;
  readonly inRows: bigint;
}

async function setPatiently(app: App, setting: Setting, signal: AbortSignal): Promise<readonly SequencePlan[]> {
  const end = monotonicMs() + limitMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await setAll(app, setting);
    } catch (error) {
      if (!isLockFailure(error)) throw error;
      if (monotonicMs() >= end || signal.aborted) throw locked(setting.sequences, error);
      await pause(backoffMs(attempt, { baseMs: 100, capMs: 3_000 }), signal);
    }
  }
}

/** Sets all or none: what fails before the commits leaves everything as it was, since closing a session rolls back. */
async function setAll(app: App, setting: Setting): Promise<readonly SequencePlan[]> {
  const open: Session[] = [];
  try {
    const now: KeySequence[] = [];
    for (const sequence of setting.sequences) {
      const session = await app.ownSession(sequence.node);
      open.push(session);
      now.push(await lock(session, sequence, setting.stride));
    }
    const plans = planAll(now, setting.stride, setting.inRows);
    for (const [index, session] of open.entries()) await session.query(restartSql(now[index], plans[index]));
    for (const session of open) await session.query('commit');
    return plans;
  } finally {
    for (const session of open) await session[Symbol.asyncDispose]();
  }
}

/** Locks a sequence by setting what needs no position; gives it as it is under the lock. */
async function lock(session: Session, sequence: KeySequence, stride: bigint): Promise<KeySequence> {
  await session.script(begin);
  await session.query(alterSql(sequence.sequence, planSequence(sequence, stride, 0n)));
  return { ...sequence, ...(await readLastValue(session, sequence.sequence)) };
}

// The application's inserts wait while the locks are held. A node that stops answering must not hold the others' for long.
const begin = `begin; set local lock_timeout = '500ms'; set local idle_in_transaction_session_timeout = '5s'`;
const limitMs = 60_000;

function restartSql(sequence: KeySequence | undefined, plan: SequencePlan | undefined): string {
  if (sequence === undefined || plan === undefined) throw new PgrepError('bug', 'A sequence has no plan.');
  return `alter sequence ${tableIdent(sequence.sequence)} restart with ${plan.next}`;
}

function plannedSql(sequences: readonly KeySequence[], plans: readonly SequencePlan[]): readonly PlannedSql[] {
  return plans.flatMap((plan, index) => {
    const sequence = sequences[index];
    if (sequence === undefined) return [];
    return [{ node: sequence.node, text: `${alterSql(sequence.sequence, plan)} restart with ${plan.next}` }];
  });
}

function shown(sequence: KeySequence, plan: SequencePlan | null): InterleavedSequence {
  return {
    node: sequence.node,
    table: showTable(sequence.table),
    column: sequence.column,
    sequence: showTable(sequence.sequence),
    change: plan === null ? 'unchanged' : 'set',
    increment: String(plan?.increment ?? sequence.increment),
    next: String(plan?.next ?? nextValue(sequence)),
  };
}

/** Below this many numbers the end is near enough to be told. */
const scarce = 1_000_000n;

function scarcity(sequence: KeySequence, plan: SequencePlan | undefined): readonly string[] {
  if (plan === undefined || numbersLeft(sequence, plan) >= scarce) return [];
  const { column, table, node } = sequence;
  return [
    `Column ${column} of ${showTable(table)} has ${numbersLeft(sequence, plan)} numbers left for ${node}. A bigint column has plenty: alter table … alter column ${column} type bigint, at every node.`,
  ];
}

function locked(sequences: readonly KeySequence[], cause: unknown): PgrepError {
  const names = sequences.map(({ node, sequence }) => `${showTable(sequence)} of ${node}`).join(', ');
  return new PgrepError('no', `The sequences ${names} could not be locked together: transactions that have just taken numbers hold them.`, {
    hint: 'Nothing was changed. Run the command again when there is less going on.',
    cause,
  }); // prettier-ignore
}
