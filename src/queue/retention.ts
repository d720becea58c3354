import { isLockFailure } from '../db/sqlstate.ts';
import type { Session } from '../db/session.ts';
import { serverLife } from '../db/server-life.ts';
import { queueName } from './queue-table.ts';
import { unseenCondition } from './unseen.ts';

const slices = [0, 1, 2] as const;

interface KeptQueue {
  readonly tableId: string;
  /** What every target has durably seen, one snapshot a target; and what is folded into row versions. */
  readonly confirmed: readonly string[];
}

/**
 * Empties the parts of queues that every target has passed, by TRUNCATE, and points new rows to the emptiest part. A part that an
 * open transaction has written to stays until that ends; the other two go on in turns, so one long transaction holds back one part.
 * Gives the number of parts emptied.
 */
export async function retireQueues(session: Session): Promise<number> {
  const queues = await passedQueues(session);
  const current = await currentSlice(session);
  let emptied = 0;
  for (const queue of queues) {
    for (const slice of slices) if (slice !== current && (await emptyPart(session, queue, slice))) emptied += 1;
  }
  await turnSlice(session, current);
  return emptied;
}

/** Queues whose routes are all in batches, with what their targets have confirmed. A copy in progress needs all that came since it began. */
async function passedQueues(session: Session): Promise<readonly KeptQueue[]> {
  const { rows } = await session.query(
    `select r.table_id, pg_catalog.json_agg(l.confirmed::text)::text as confirmed,
       (select v.folded::text from pgrep.versioned_table v where v.table_id = r.table_id) as folded
     from pgrep.route r left join pgrep.link_state l on l.target = r.target
     group by r.table_id
     having pg_catalog.bool_and(r.state = 'live' and r.joined and l.confirmed is not null and l.confirmed_in = ${serverLife}) order by r.table_id`,
  );
  return rows.map((row) => {
    const confirmed = JSON.parse(String(row['confirmed'])) as readonly string[];
    const folded = typeof row['folded'] === 'string' ? [row['folded']] : [];
    return { tableId: String(row['table_id']), confirmed: [...confirmed, ...folded] };
  });
}

async function currentSlice(session: Session): Promise<number> {
  const { rows } = await session.query('select s.last_value from pgrep.slice s');
  return Number(rows[0]?.['last_value']);
}

async function emptyPart(session: Session, queue: KeptQueue, slice: number): Promise<boolean> {
  const part = `${queueName(queue.tableId)}_${slice}`;
  const { rows } = await session.query(`select pg_catalog.pg_relation_size('${part}') > 0 as filled`);
  if (rows[0]?.['filled'] !== 't' || (await isNeeded(session, part, queue.confirmed))) return false;
  try {
    // Under the lock no transaction that wrote here is open any more; what it committed meanwhile is seen by the second look.
    await session.script(`begin; lock table ${part} in access exclusive mode nowait`);
    const needed = await isNeeded(session, part, queue.confirmed);
    await session.script(needed ? 'rollback' : `truncate table ${part}; commit`);
    return !needed;
  } catch (error) {
    if (!session.lost.aborted) await session.script('rollback');
    if (isLockFailure(error)) return false;
    throw error;
  }
}

async function isNeeded(session: Session, part: string, confirmed: readonly string[]): Promise<boolean> {
  const unseen = confirmed.map((snapshot) => `(${unseenCondition(snapshot, null)})`).join(' or ');
  const { rows } = await session.query(`select exists (select from ${part} q where ${unseen}) as needed`);
  return rows[0]?.['needed'] === 't';
}

/** New rows go to the emptiest other part once the current one holds any. */
async function turnSlice(session: Session, current: number): Promise<void> {
  const sums = slices.map(
    (slice) =>
      `coalesce(pg_catalog.sum(pg_catalog.pg_relation_size('pgrep.queue_' || t.table_id || '_${slice}')), 0) as s${slice}`,
  );
  const { rows } = await session.query(`select ${sums.join(', ')} from pgrep.captured_table t`);
  const sizes = slices.map((slice) => Number(rows[0]?.[`s${slice}`] ?? 0));
  if ((sizes[current] ?? 0) === 0) return;
  const [next] = slices
    .filter((slice) => slice !== current)
    .sort((one, other) => (sizes[one] ?? 0) - (sizes[other] ?? 0));
  await session.query(`select pg_catalog.setval('pgrep.slice', $1)`, [next]);
}
