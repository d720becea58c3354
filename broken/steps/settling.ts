import type { Breakage, Edit } from '../breakage.ts';

const settle = (text: string, replacement: string): Edit => ({
  file: 'src/targets/postgres/two-way/settle-sql.ts',
  text,
  replacement,
});

/** Steps e and f, and what is forgotten. */
export const settling: readonly Breakage[] = [
  {
    name: 'e-versions',
    step: 'e',
    broken: 'versions of rows are not written to the sidecar',
    edits: [settle('where not s.swept and (not s.live or', 'where not s.swept and not s.live and (not s.live or')],
  },
  {
    name: 'e-tombstones',
    step: 'e',
    broken: 'tombstones are not written to the sidecar',
    edits: [settle('where not s.swept and (not s.live or', 'where not s.swept and s.live and (not s.live or')],
  },
  {
    name: 'e-floor',
    step: 'e',
    broken: 'the truncate floor is not raised',
    edits: [settle('and v.floor_version < ${floor.version} returning', 'and false returning')],
  },
  {
    name: 'e-forward',
    step: 'e',
    broken: 'nothing is queued for nodes that are forwarded to',
    edits: [settle('`not s.merged and not s.swept and ${others}`', '`false and not s.merged and not s.swept and ${others}`')], // prettier-ignore
    topologies: ['star', 'chain'],
  },
  {
    name: 'f',
    step: 'f',
    broken: 'a row inserted while its delete arrived gets no version above it',
    edits: [
      {
        file: 'src/versions/fold-sql.ts',
        text: 'coalesce(m.grave > m.stamp[1], false) or coalesce(',
        replacement: 'coalesce(',
      },
    ],
  },
  {
    name: 'prune-table',
    step: 'prune',
    broken: 'what a link has brought of one table counts as seen of all',
    edits: [
      {
        file: 'src/versions/seen.ts',
        text: `and r.options @> '{"twoWay": true}' and r.table_id = \${tableId})\`; // prettier-ignore`,
        replacement: `and r.options @> '{"twoWay": true}')\`; // prettier-ignore`,
      },
    ],
    topologies: ['star', 'chain'],
  },
  {
    name: 'prune',
    step: 'prune',
    broken: 'versions are forgotten whoever has seen them',
    edits: [
      {
        file: 'src/versions/prune-sql.ts',
        text: 'pg_catalog.pg_visible_in_snapshot(rv.xid::text::xid8, s.snapshot) is not true',
        replacement: 'false',
      },
    ],
  },
];
