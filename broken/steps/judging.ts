import type { Breakage, Edit } from '../breakage.ts';

const judge = (text: string, replacement: string): Edit => ({
  file: 'src/targets/postgres/two-way/judge-sql.ts',
  text,
  replacement,
});
const raced: Edit = { file: 'sql/routines/stop_if_raced.sql', text: 'if raced then', replacement: 'if false then' };
const unlocked: Edit = {
  file: 'src/targets/postgres/two-way/lock-sql.ts',
  text: ' order by ${rowKey(table)} for update of t) l',
  replacement: ') l',
};

/** Steps a to d: lock, judge, merge, look again. */
export const judging: readonly Breakage[] = [
  { name: 'a-lock', step: 'a', broken: 'rows are not locked before they are judged', edits: [unlocked] },
  { name: 'a-lock-d', step: 'a', broken: 'rows are not locked, and step d is missing too', edits: [unlocked, raced] },
  {
    name: 'b-wins',
    step: 'b',
    broken: 'what arrives always wins',
    edits: [
      judge(
        'case when m.swept then m.version > m.local_version else m.version >= m.local_version end as wins',
        'true as wins',
      ),
    ],
  },
  {
    name: 'b-queue',
    step: 'b',
    broken: 'local changes that are not folded yet are not judged',
    edits: [judge('(${unfoldedSql(table.versioned)})', "(${unfoldedSql(table.versioned, 'false')})")],
  },
  {
    name: 'b-sidecar',
    step: 'b',
    broken: 'versions in the sidecar are not judged',
    edits: [judge('rv.version as rv_version', 'null::bigint as rv_version')],
  },
  {
    name: 'b-here',
    step: 'b',
    broken: 'the sender counts as having seen every local version',
    edits: [judge("${senderSaw(table, 'r')}", 'true')],
    by: ['recorded'],
  },
  {
    name: 'b-there',
    step: 'b',
    broken: 'the writer of the local version counts as having seen all that arrives',
    edits: [judge("${winnerSaw(table, 'r')}", 'true')],
    by: ['recorded'],
  },
  {
    name: 'b-unseen',
    step: 'b',
    broken: 'the sender counts as having seen nothing',
    edits: [judge("${senderSaw(table, 'r')}", 'false')],
    by: ['needless'],
  },
  {
    name: 'c',
    step: 'c',
    broken: 'losers stay in the stage and are merged',
    edits: [judge('where s.ctid = r.tid and not r.wins', 'where s.ctid = r.tid and false')],
  },
  { name: 'd', step: 'd', broken: 'an insert after the judgement does not undo the batch', edits: [raced] },
];
