import type { Breakage } from '../breakage.ts';

/** What links do before a batch is judged: reading, position, capture. */
export const sending: readonly Breakage[] = [
  {
    name: 'source-open',
    step: 'source',
    broken: 'transactions that were open when a batch was read are not read later',
    edits: [
      {
        file: 'src/versions/changed-sql.ts',
        text: 'seen_xip constant xid8[] := array(select pg_catalog.pg_snapshot_xip(seen));',
        replacement: "seen_xip constant xid8[] := '{}';",
      },
    ],
  },
  {
    name: 'source-position',
    step: 'source',
    broken: 'the position is committed before the rows',
    edits: [
      {
        file: 'src/targets/postgres/postgres-target.ts',
        text: '`begin;\\n${mark}\\n${durable',
        replacement: '`begin;\\n${mark}\\ncommit;\\nbegin;\\n${durable',
      },
    ],
  },
  {
    name: 'source-echo',
    step: 'source',
    broken: "the replicator's own writes are captured as changes",
    edits: [
      {
        file: 'src/capture/function-sql.ts',
        text: '${literal(replicatorName)} then',
        replacement: '${literal(replicatorName)} and false then',
      },
    ],
    by: ['equal', 'winner', 'recorded', 'needless', 'drained'],
  },
];
