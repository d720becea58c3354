import { PgrepError } from '../core/error.ts';
import { isMigrated, migrate } from '../db/migrate.ts';
import { literal } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { configuredNode, postgresNames, postgresNode, type App } from './open.ts';
import type { InitResult, PlannedSql } from './results.ts';

/** Installs or upgrades the schema `pgrep` on nodes (default: every Postgres node) and gives each its node id. */
export async function initNodes(
  app: App,
  options: { nodes?: readonly string[]; dryRun: boolean },
  signal: AbortSignal,
): Promise<InitResult> {
  return await alone(app, options.dryRun, () => initEach(app, options, signal));
}

async function initEach(
  app: App,
  options: { nodes?: readonly string[]; dryRun: boolean },
  signal: AbortSignal,
): Promise<InitResult> {
  const results: InitResult['nodes'][number][] = [];
  const sql: PlannedSql[] = [];
  const given = new Map<string, number>();
  for (const node of options.nodes ?? postgresNames(app.config)) {
    signal.throwIfAborted();
    const { change, nodeId, planned } = await initNode(app, node, { dryRun: options.dryRun, given });
    results.push({ node, nodeId, change });
    sql.push(...planned.map((text) => ({ node, text })));
  }
  return { nodes: results, sql };
}

/** Nodes that were initialised because they were not, or with `dryRun` would be. */
export interface InitMissing {
  readonly initialised: readonly string[];
  readonly nodeIds: ReadonlyMap<string, number>;
  readonly sql: readonly PlannedSql[];
}

/** Initialises those of `nodes` that are not. With `dryRun` nothing is done but the SQL is given. Throws `schema` as `migrate` does. */
export async function initMissing(app: App, nodes: readonly string[], dryRun: boolean): Promise<InitMissing> {
  return await alone(app, dryRun, () => initEachMissing(app, nodes, dryRun));
}

async function initEachMissing(app: App, nodes: readonly string[], dryRun: boolean): Promise<InitMissing> {
  const given = new Map<string, number>();
  const sql: PlannedSql[] = [];
  for (const node of nodes) {
    if (configuredNode(app.config, node).kind !== 'postgres') continue;
    const session = await app.session(node);
    if ((await isMigrated(session)) && (await readSelf(session)) !== null) continue;
    const done = await initNode(app, node, { dryRun, given });
    sql.push(...done.planned.map((text) => ({ node, text })));
  }
  return { initialised: [...given.keys()], nodeIds: given, sql };
}

/**
 * Runs `work` while nobody else initialises nodes of this configuration: two at once would give two nodes the same id. The lock is
 * at the home node, which every command knows.
 */
async function alone<T>(app: App, dryRun: boolean, work: () => Promise<T>): Promise<T> {
  if (dryRun) return await work();
  await using session = await app.ownSession(app.config.home);
  await session.query('select pg_catalog.pg_advisory_lock($1)', [initKey]);
  return await work();
}

// One above the key of migrations.
const initKey = '482770018673';

interface InitPlan {
  readonly dryRun: boolean;
  /** Ids that this command has given or, with `dryRun`, would have given. */
  readonly given: Map<string, number>;
}

async function initNode(
  app: App,
  node: string,
  { dryRun, given }: InitPlan,
): Promise<{ change: 'created' | 'upgraded' | 'unchanged'; nodeId: number; planned: readonly string[] }> {
  const session = await app.session(node);
  const migrated = await migrate(session, dryRun);
  const there = migrated.change !== 'created' || !dryRun;
  const self = there ? await readSelf(session) : null;
  if (self !== null) {
    checkSelf(node, self, postgresNode(app.config, node).id);
    given.set(node, self.nodeId);
    return { change: migrated.change, nodeId: self.nodeId, planned: migrated.sql };
  }
  const nodeId = await freeNodeId(app, node, given);
  given.set(node, nodeId);
  const register = registerSql(node, nodeId);
  if (!dryRun) await session.query(register);
  const change = migrated.change === 'unchanged' ? 'upgraded' : migrated.change;
  return { change, nodeId, planned: [...migrated.sql, register] };
}

function registerSql(node: string, nodeId: number): string {
  return `insert into pgrep.node (node_id, name, is_self) values (${nodeId}, ${literal(node)}, true)`;
}

/** Which node a database was initialised as; null before that. */
export async function readSelf(session: Session): Promise<{ nodeId: number; name: string } | null> {
  const { rows } = await session.query('select n.node_id, n.name from pgrep.node n where n.is_self');
  const row = rows[0];
  return row === undefined ? null : { nodeId: Number(row['node_id']), name: String(row['name']) };
}

function checkSelf(node: string, self: { nodeId: number; name: string }, wanted: number | undefined): void {
  if (self.name !== node) {
    throw new PgrepError(
      'config',
      `The database of node ${node} was initialised as node ${self.name}: one database cannot be two nodes.`,
      {
        hint: `Name it ${self.name} in the configuration, or give nodes.${node}.postgres a database of its own.`,
      },
    );
  }
  if (wanted !== undefined && wanted !== self.nodeId) {
    throw new PgrepError(
      'config',
      `Node ${node} has the id ${self.nodeId}, the configuration says ${wanted}; the id is part of every version that it wrote.`,
      {
        hint: `Write "id": ${self.nodeId} into nodes.${node}, or leave it out.`,
      },
    );
  }
}

// The id that the file gives, else the lowest that neither the file nor a database of its nodes uses. Nodes that cannot be asked
// make this unsafe, so their failure ends the command.
async function freeNodeId(app: App, node: string, planned: ReadonlyMap<string, number>): Promise<number> {
  const wanted = postgresNode(app.config, node).id;
  const used = new Map([...planned].map(([name, id]) => [id, name]));
  for (const other of postgresNames(app.config).filter((name) => name !== node)) {
    const given = postgresNode(app.config, other).id;
    if (given !== undefined) {
      // The file decides; a database that says otherwise is refused when it is used. So it need not answer now.
      used.set(given, other);
      continue;
    }
    for (const known of await knownAt(app, other)) used.set(known.nodeId, known.name);
  }
  if (wanted !== undefined && !used.has(wanted)) return wanted;
  if (wanted !== undefined) throw takenId(node, wanted, used.get(wanted) ?? '');
  for (let id = 1; id <= 255; id += 1) if (!used.has(id)) return id;
  throw new PgrepError('config', 'All node ids from 1 to 255 are in use.', {
    hint: 'Remove nodes from the configuration.',
  });
}

/** The nodes that a node knows, forgotten ones too: versions that they wrote may be anywhere. */
async function knownAt(app: App, node: string): Promise<readonly { nodeId: number; name: string }[]> {
  const session = await app.session(node);
  const { rows } = await session.query("select pg_catalog.to_regclass('pgrep.node') is not null as there");
  if (rows[0]?.['there'] !== 't') return [];
  const known = await session.query('select n.node_id, n.name from pgrep.node n');
  return known.rows.map((row) => ({ nodeId: Number(row['node_id']), name: String(row['name']) }));
}

function takenId(node: string, id: number, other: string): PgrepError {
  return new PgrepError('config', `Node ${node} cannot have the id ${id}: node ${other} has it.`, {
    hint: `Give nodes.${node} another "id", or leave it out.`,
  });
}
