import type { ConflictPolicy, Route, TableName } from '../core/route.ts';
import type { InterleavedSequence } from './sequences.ts';

/** What the use cases take and give. Interfaces of the library and of `--json`: kept stable. */

/** `from`: source node, default the configuration's home. */
export interface AddTableOptions {
  readonly table: TableName;
  readonly from?: string;
  readonly to: readonly string[];
  /** Target table; default the source's name. */
  readonly as?: TableName;
  /** Source column to target column. */
  readonly map?: Readonly<Record<string, string>>;
  readonly columns?: readonly string[];
  readonly where?: string;
  readonly key?: readonly string[];
  /** Elasticsearch index; default `schema_table`, lower case. */
  readonly index?: string;
  /** False: the target is already equal (`--no-copy`). */
  readonly copy: boolean;
  /** True: rows that the target already holds are overwritten and, where the source lacks them, deleted (`--replace`). */
  readonly replace: boolean;
  /** True: rows may be written at every node, among which the table is kept equal. Default: as the routes are, else false. */
  readonly twoWay?: boolean;
  /** What decides between concurrent changes of a row; default: what the routes have, else `last-write-wins`. */
  readonly policy?: ConflictPolicy;
  /** The SQL function of the policy `function`. */
  readonly policyFunction?: TableName;
  /** True: several nodes hold rows, all of which are to be at all nodes (`--merge`). */
  readonly merge?: boolean;
  /** True: the source passes on between the others, which are not linked with each other (`--forward`). */
  readonly forward?: boolean;
  /** `interleave`: each node's sequences give numbers of its own. */
  readonly sequences?: 'interleave';
  /** True: nothing is changed, `sql` says what would be. */
  readonly dryRun: boolean;
}

export interface AddTableResult {
  /** One entry a route: one a target, or with two-way routes one each way of each pair. `unchanged`: the route was there with the same options. */
  readonly routes: readonly {
    readonly route: Route;
    readonly change: 'added' | 'changed' | 'unchanged';
    readonly copiedRows: number;
  }[];
  /** Nodes on which `init` was run because the schema was missing. */
  readonly initialised: readonly string[];
  /** With `sequences: 'interleave'`: the sequences of the key at each node. */
  readonly sequences: readonly InterleavedSequence[];
  /** With `dryRun`: statements in order, each with the node it would run at. */
  readonly sql: readonly PlannedSql[];
  readonly warnings: readonly string[];
}

/** SQL (or an Elasticsearch request line and body) that a dry run prints. */
export interface PlannedSql {
  readonly node: string;
  readonly text: string;
}

export interface InitResult {
  readonly nodes: readonly {
    readonly node: string;
    readonly nodeId: number;
    readonly change: 'created' | 'upgraded' | 'unchanged';
  }[];
  readonly sql: readonly PlannedSql[];
}

export interface RemoveTableOptions {
  readonly table: TableName;
  readonly from?: string;
  /** Default: every target. */
  readonly to?: readonly string[];
  readonly dryRun: boolean;
}

export interface RemoveTableResult {
  readonly removed: readonly Route[];
  /** True when no route of the source was left and the triggers and the queue were dropped. */
  readonly captureDropped: boolean;
  /** Nodes of whose tables the triggers and the queue were dropped. */
  readonly captureDroppedAt: readonly string[];
  readonly sql: readonly PlannedSql[];
  readonly warnings: readonly string[];
}

/** `running` a batch is under way or the link waits for changes; `retrying` the target or source is down, backing off;
 *  `stopped` configuration error, needs a person; `copying` at least one table is being copied; `no daemon` nobody holds the lease. */
export type LinkState = 'running' | 'retrying' | 'stopped' | 'copying' | 'no daemon';

export interface LinkStatus {
  readonly source: string;
  readonly target: string;
  readonly state: LinkState;
  /** Age of the oldest change not yet at the target, seconds; 0 when there is none; null when a node cannot be asked. */
  readonly lagSeconds: number | null;
  /** Queued keys not yet at the target (a key changed twice counts twice); null when a node cannot be asked. */
  readonly lagKeys: number | null;
  /** Keys a second over the last batches. */
  readonly rate: number;
  /** Records in `sync_err_rec`. */
  readonly held: number;
  readonly tables: number;
  readonly copying: number;
  /** True while a backlog larger than one batch is worked off: a row may be newer than its neighbours. */
  readonly catchingUp: boolean;
  readonly lastError: string | null;
  /** ISO 8601, UTC; null before the first batch. */
  readonly appliedAt: string | null;
}

export interface StatusResult {
  readonly links: readonly LinkStatus[];
  /** Postgres nodes of the configuration that did not answer: links that start there are not in `links`. */
  readonly unreachable: readonly string[];
}

/** A row of `pgrep.sync_err_rec`, its columns by their names; bigints as text, times ISO 8601 UTC. */
export interface ErrorRecord {
  readonly id: string;
  readonly nsp_name: string;
  readonly table_name: string;
  readonly dst_server: string;
  readonly dst_query: string;
  readonly create_time: string;
  /** The node that keeps the record: the source. */
  readonly source: string;
  readonly key: readonly string[];
  readonly reason: string;
  readonly message: string;
  readonly attempts: number;
  readonly last_time: string;
  readonly next_time: string;
}

export interface ErrorsListOptions {
  readonly from?: string;
  readonly to?: string;
  readonly table?: TableName;
  readonly limit?: number;
}

export interface DiscardOptions {
  readonly ids: readonly string[];
  readonly from?: string;
}

export interface RetryOptions {
  readonly limit: number;
  readonly from?: string;
  readonly to?: string;
  readonly dryRun: boolean;
}

export interface RetryResult {
  readonly target: string | null;
  readonly tried: number;
  readonly succeeded: number;
  /** Records of this target that are left, the newest reason of each. */
  readonly remaining: readonly ErrorRecord[];
  /** Records that are left in all, of any target. */
  readonly remainingTotal: number;
}

export interface WaitOptions {
  readonly to?: string;
  /** Null: no limit. */
  readonly timeoutSeconds: number | null;
}

export interface WaitResult {
  readonly reached: boolean;
  /** Links that had not reached what was committed before the call. */
  readonly behind: readonly { readonly source: string; readonly target: string }[];
  readonly seconds: number;
}

export interface CopyOptions {
  readonly table: TableName;
  readonly from?: string;
  /** Default: every target of the table. */
  readonly to?: readonly string[];
  /** True: begin again from the first row instead of resuming. */
  readonly restart: boolean;
}

export interface CopyResult {
  readonly tables: readonly { readonly route: Route; readonly copiedRows: number; readonly seconds: number }[];
}

export interface ForgetNodeOptions {
  readonly node: string;
  /** True: also a node that answers. */
  readonly force: boolean;
  readonly dryRun: boolean;
}

export interface ForgetNodeResult {
  readonly node: string;
  /** Nodes that knew it. */
  readonly nodes: readonly {
    readonly node: string;
    readonly change: 'forgotten' | 'unchanged';
    /** Keys of rows that came from the lost node, queued for the other survivors. */
    readonly queuedKeys: number;
    readonly routesRemoved: number;
  }[];
  /** Nodes that did not answer: the command has to be repeated for them. */
  readonly unreachable: readonly string[];
  readonly sql: readonly PlannedSql[];
  readonly warnings: readonly string[];
}

export interface UninstallResult {
  readonly sql: readonly PlannedSql[];
  readonly nodes: readonly string[];
}

/** Progress of a copy: called after each chunk. `totalRows` is the planner's estimate; it may be wrong. */
export type CopyProgress = (progress: {
  readonly table: TableName;
  readonly target: string;
  readonly rows: number;
  readonly totalRows: number;
  readonly rowsPerSecond: number;
  readonly done: boolean;
}) => void;
