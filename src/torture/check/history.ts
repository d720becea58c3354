/** One version of one key, as the transaction that made it logged it (`pgrep_torture.commit`). */
export interface Commit {
  readonly node: string;
  /** Counts log entries of the node; of two that wrote one key there, the later one has the higher number. */
  readonly ordinal: bigint;
  readonly xid: string;
  /** `write` of a writer; `truncate`; `fresh`: pgrep gave the row a new version (step f); `initial`: there before replication. */
  readonly kind: 'write' | 'truncate' | 'fresh' | 'initial';
  readonly table: string;
  /** Null (TRUNCATE): every key without an entry of its own in the transaction. */
  readonly key: string | null;
  readonly version: bigint;
  /** Of the row as the transaction left it; null: absent. */
  readonly tag: string | null;
  /** Of the row as the transaction found it; null: absent. */
  readonly oldTag: string | null;
  /** Version of what the transaction found; 0n: none was known. */
  readonly seen: bigint;
  /** The node was forgotten: nobody knows what of it had been sent. */
  readonly lost: boolean;
}

/** A record of `pgrep.conflict`, on whichever node. */
export interface RecordedConflict {
  readonly node: string;
  readonly table: string;
  readonly key: string;
  readonly localVersion: bigint;
  readonly remoteVersion: bigint;
  /** Tags of the rows; null: deleted. */
  readonly localTag: string | null;
  readonly remoteTag: string | null;
  readonly verdict: string;
}

/** The versions that one key had. */
export interface KeyHistory {
  readonly table: string;
  readonly key: string;
  /** In the order of versions; of equal versions, which only one node can give, in the order of its log. */
  readonly commits: readonly Commit[];
  /** Versions of TRUNCATEs after which the same transaction wrote the key: what it left is above in `commits`. */
  readonly emptied: readonly bigint[];
}

/**
 * Sorts a log by keys. A TRUNCATE counts for every key of its table, also where its transaction found a row and logged its absence as a write. `keys`: further keys,
 * as `table` and `key`.
 */
export function historiesOf(
  log: readonly Commit[],
  keys: readonly { readonly table: string; readonly key: string }[] = [],
): readonly KeyHistory[] {
  const byKey = new Map<string, { table: string; key: string; commits: Commit[]; emptied: bigint[] }>();
  const entry = (table: string, key: string): { commits: Commit[] } => {
    const name = `${table} ${key}`;
    const found = byKey.get(name) ?? { table, key, commits: [], emptied: [] };
    byKey.set(name, found);
    return found;
  };
  for (const { table, key } of keys) entry(table, key);
  for (const commit of log) if (commit.key !== null) entry(commit.table, commit.key).commits.push(commit);
  const truncates = log.filter(({ key }) => key === null);
  for (const { table, commits, emptied } of byKey.values()) {
    const named = new Set(commits.map(transactionOf));
    const here = truncates.filter((one) => one.table === table);
    const versions = new Set(here.map(({ version }) => version));
    for (const [place, commit] of commits.entries()) {
      if (commit.tag === null && versions.has(commit.version)) commits[place] = { ...commit, kind: 'truncate' };
    }
    for (const one of here) {
      if (named.has(transactionOf(one))) emptied.push(one.version);
      else commits.push(one);
    }
    commits.sort(byVersion);
  }
  return [...byKey.values()];
}

function transactionOf({ node, xid }: Commit): string {
  return `${node} ${xid}`;
}

function byVersion(one: Commit, other: Commit): number {
  return compare(one.version, other.version) || compare(one.ordinal, other.ordinal);
}

function compare(one: bigint, other: bigint): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
