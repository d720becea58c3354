/** Single-row transactions on several connections, made by a process of its own. */
export interface LoadGenerator {
  readonly name: string;
  run(job: LoadJob): Promise<LoadResult>;
}

/** `until`: a number of transactions on each connection, or seconds. */
export interface LoadJob {
  readonly url: string;
  readonly mix: 'inserts' | 'mixed';
  readonly until: { readonly transactionsEach: number } | { readonly seconds: number };
  /** Rows 1 to this are there; updates and deletes choose among them at random. */
  readonly preloadedRows: number;
  /** An existing folder for scripts. */
  readonly scratch: string;
}

/** `perSecond` leaves out the time that connecting takes. */
export interface LoadResult {
  readonly transactions: number;
  readonly perSecond: number;
}

/** All load runs on so many connections. */
export const connections = 4;

/**
 * The statements, `$1` the row's id. Written once, so that every generator sends the same.
 * Weights are those of the mixed workload.
 */
export const statements = {
  insert: {
    weight: 70,
    text: `insert into bench.item (id, info, n) values ($1::bigint, 'row of a single insert, a text of some sixty bytes, ' || $1::bigint, 0)`,
  },
  update: {
    weight: 20,
    text: `update bench.item set info = 'row of a single update, a text of some sixty bytes, ' || id, n = n + 1 where id = $1::bigint`,
  },
  delete: { weight: 10, text: `delete from bench.item where id = $1::bigint` },
} as const;

export type StatementName = keyof typeof statements;

/** New rows of connection 0, 1, … are numbered from here on, so that no two collide. */
export function firstNewId(connection: number): number {
  return (connection + 1) * 1_000_000_000;
}
