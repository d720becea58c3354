import { PgrepError } from '../../core/error.ts';
import { showTable, type Route, type TableName } from '../../core/route.ts';
import { isMigrated } from '../../db/migrate.ts';
import { loadRoutes } from '../../db/route-store.ts';
import type { Session } from '../../db/session.ts';
import { findTable, type TableDescription } from '../../db/table-description.ts';
import { postgresNames, postgresNode, type App } from '../open.ts';
import type { Found } from './finding.ts';

/** A Postgres node that answered. */
export interface ExaminedNode {
  readonly name: string;
  readonly session: Session;
  /** Routes that begin here; empty without the schema. */
  readonly routes: readonly Route[];
  /** True: rows are applied here with session_replication_role = replica. */
  readonly replica: boolean;
}

/** A table at a node that routes bring rows to. */
export interface FedTable {
  readonly node: ExaminedNode;
  readonly table: TableName;
}

/** What the checks look at; the catalog is read once. */
export class Examination {
  readonly app: App;
  readonly nodes: ReadonlyMap<string, ExaminedNode>;
  readonly #described = new Map<string, Promise<TableDescription | null>>();

  constructor(app: App, nodes: readonly ExaminedNode[]) {
    this.app = app;
    this.nodes = new Map(nodes.map((node) => [node.name, node]));
  }

  get routes(): readonly Route[] {
    return [...this.nodes.values()].flatMap(({ routes }) => routes);
  }

  /** Routes whose target is a Postgres node that answered, with that node. */
  get fed(): readonly { readonly route: Route; readonly target: ExaminedNode }[] {
    return this.routes.flatMap((route) => {
      const target = this.nodes.get(route.target);
      return target === undefined ? [] : [{ route, target }];
    });
  }

  /** Tables that rows arrive in, each once. */
  get fedTables(): readonly FedTable[] {
    const tables = new Map<string, FedTable>();
    for (const { route, target } of this.fed) {
      const name = `${target.name} ${showTable(route.targetTable)}`;
      tables.set(name, { node: target, table: route.targetTable });
    }
    return [...tables.values()];
  }

  /** A table as the catalog has it; null: there is none. */
  describe(node: ExaminedNode, table: TableName): Promise<TableDescription | null> {
    const name = `${node.name} ${showTable(table)}`;
    const known = this.#described.get(name) ?? findTable(node.session, table);
    this.#described.set(name, known);
    return known;
  }
}

/** What stood in the way of examining a node. `code`: as the error, or `schema`. */
export interface NodeTrouble extends Found {
  readonly check: 'connection' | 'schema' | 'route';
  readonly code: PgrepError['code'];
}

/** Opens all Postgres nodes. A node in trouble is left out, or is examined without its routes. */
export async function examine(app: App): Promise<{ examination: Examination; troubles: readonly NodeTrouble[] }> {
  const nodes: ExaminedNode[] = [];
  const troubles: NodeTrouble[] = [];
  const note = (trouble: NodeTrouble): void => void troubles.push(trouble);
  for (const name of postgresNames(app.config)) {
    const session = await orTrouble('connection', name, note, () => app.session(name));
    if (session === null) continue;
    const routes = (await isUsable(session, note)) ? await orTrouble('route', name, note, () => loadRoutes(session, name)) : null; // prettier-ignore
    const replica = postgresNode(app.config, name).replicaRole && (await maySetReplicaRole(session));
    nodes.push({ name, session, routes: routes ?? [], replica });
  }
  return { examination: new Examination(app, nodes), troubles };
}

type Note = (trouble: NodeTrouble) => void;

async function orTrouble<T>(check: NodeTrouble['check'], node: string, note: Note, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PgrepError) || error.code === 'bug') throw error;
    note({ check, level: 'error', node, table: null, message: error.message, advice: error.hint ?? '', code: error.code });
    return null;
  }
} // prettier-ignore

/** True when the schema is there and of this version; else says so. */
async function isUsable(session: Session, note: Note): Promise<boolean> {
  const { node } = session;
  const migrated = await orTrouble('schema', node, note, () => isMigrated(session));
  if (migrated !== false) return migrated === true;
  const { rows } = await session.query("select pg_catalog.to_regclass('pgrep.migration') is not null as there");
  const found = { check: 'schema', node, table: null, advice: 'Run: pgrep init' } as const;
  if (rows[0]?.['there'] === 't')
    note({ ...found, level: 'error', message: `The schema pgrep of node ${node} is older than this program, which so does not work with it.`, code: 'schema' }); // prettier-ignore
  else note({ ...found, level: 'warning', message: `Node ${node} has no schema pgrep: nothing is replicated from it or to it.`, code: 'no' }); // prettier-ignore
  return false;
}

/** Tries it: who may set the parameter depends on version, role, memberships and grants. */
async function maySetReplicaRole(session: Session): Promise<boolean> {
  await session.query('begin');
  try {
    await session.query('set local session_replication_role = replica');
    return true;
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'privilege') return false;
    throw error;
  } finally {
    if (!session.lost.aborted) await session.query('rollback');
  }
}
