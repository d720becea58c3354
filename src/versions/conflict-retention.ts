/** What pruning needs of a connection; a `Session` does. */
export interface ConflictDatabase {
  query(text: string, values?: readonly unknown[]): Promise<{ rowCount: number }>;
}

/**
 * Deletes conflicts that were found more than `days` days ago; gives their number. What is
 * held and not decided yet stays: without its record the next attempt would decide by versions. Each statement commits by itself, so that a large backlog holds nothing up.
 */
export async function pruneConflicts(db: ConflictDatabase, days: number): Promise<number> {
  let deleted = 0;
  for (;;) {
    const { rowCount } = await db.query(pruneSql, [String(days), String(chunkRows)]);
    deleted += rowCount;
    if (rowCount < chunkRows) return deleted;
  }
}

// Small enough that a statement is over in well under a second.
const chunkRows = 10_000;

const pruneSql = `delete from pgrep.conflict c where c.id = any (array(
  select o.id from pgrep.conflict o where o.create_time < pg_catalog.now() - $1::integer * interval '1 day'
    and not (o.verdict = 'held' and exists (select from pgrep.sync_err_rec e where e.key = o.key and e.reason = 'conflict'))
  order by o.create_time limit $2::integer))`;
