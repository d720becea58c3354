/** What the benchmark asks of a target, whatever its kind. Connections open on first use. */
export interface Replica extends AsyncDisposable {
  /** True when the row is there, with that `n` if one is given. Costs one read by key. */
  has(id: number, n?: number): Promise<boolean>;
  /** Number of rows, only those with that `n` if one is given. */
  count(n?: number): Promise<number>;
  /** Null when every row equals the source's, else what differs. Reads everything. */
  difference(): Promise<string | null>;
}
