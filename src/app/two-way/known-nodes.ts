import { PgrepError } from '../../core/error.ts';
import { isMigrated } from '../../db/migrate.ts';
import { literal } from '../../db/quote.ts';
import type { Session } from '../../db/session.ts';
import { postgresNames, type App } from '../open.ts';

/** A node as others know it: its id is in every version that it writes. */
export interface KnownNode {
  readonly nodeId: number;
  readonly name: string;
  readonly forgotten: boolean;
  /** Where every other node queued what it had of a forgotten one, JSON as in `pgrep.node`; null: not all have, or it is not forgotten. */
  readonly exchange: string | null;
}

/** What a node is called once it is forgotten: no node of a configuration can have this name, so the old one is free again. */
export function nameOfForgotten({ name, nodeId }: Pick<KnownNode, 'name' | 'nodeId'>): string {
  return `${name} ${nodeId}`;
}

/** The nodes that a node knows, itself included; none before `init`. */
export async function readKnownNodes(session: Session): Promise<readonly KnownNode[]> {
  if (!(await isMigrated(session))) return [];
  const { rows } = await session.query(
    'select n.node_id, n.name, n.forgotten, n.exchange::text from pgrep.node n order by n.node_id',
  );
  return rows.map((row) => ({
    nodeId: Number(row['node_id']),
    name: String(row['name']),
    forgotten: row['forgotten'] === 't',
    exchange: typeof row['exchange'] === 'string' ? row['exchange'] : null,
  }));
}

/** Refuses members whose ids or names somebody knows as another node's. Throws `config`. */
export function checkKnownNodes(members: readonly KnownNode[], known: readonly KnownNode[]): void {
  for (const member of members) {
    const twin = [...members, ...known].find((each) => each.nodeId === member.nodeId && each.name !== member.name);
    if (twin?.name === nameOfForgotten(member)) throw forgotten(member);
    if (twin !== undefined) throw sameId(member, twin.name);
    const before = known.find((each) => each.name === member.name && each.nodeId !== member.nodeId);
    if (before !== undefined) throw otherId(member, before.nodeId);
  }
}

/**
 * Makes nodes known to each other: `members`, all that any of them knows, and the other nodes of the configuration that these
 * names stand for. Gives the names of those that could not be told, which learn it when the command is repeated.
 */
export async function introduceNodes(app: App, members: readonly string[]): Promise<readonly string[]> {
  const known = new Map<number, KnownNode>();
  for (const name of members) {
    for (const node of await readKnownNodes(await app.session(name)))
      known.set(node.nodeId, { ...node, forgotten: node.forgotten || known.get(node.nodeId)?.forgotten === true });
  }
  const silent: string[] = [];
  const names = [...known.values()].map(({ name }) => name);
  for (const name of postgresNames(app.config).filter((each) => members.includes(each) || names.includes(each))) {
    try {
      const session = await app.session(name);
      if (await isMigrated(session)) await session.script(introduceSql([...known.values()]).join(';\n'));
    } catch (error) {
      if (members.includes(name) || !(error instanceof PgrepError) || error.code !== 'unreachable') throw error;
      silent.push(name);
    }
  }
  return silent;
}

/** Statements that make nodes known to one. */
export function introduceSql(nodes: readonly KnownNode[]): readonly string[] {
  return nodes.map(
    ({ nodeId, name, forgotten, exchange }) =>
      `insert into pgrep.node (node_id, name, forgotten, exchange) values (${nodeId}, ${literal(name)}, ${String(forgotten)}, ${exchange === null ? 'null' : literal(exchange)}) on conflict (node_id) do nothing`,
  );
}

function sameId({ name, nodeId }: KnownNode, other: string): PgrepError {
  return new PgrepError(
    'config',
    `Nodes ${name} and ${other} both have the id ${nodeId}, which tells their versions apart.`,
    {
      hint: `Remove pgrep from the newer one and give it another id: pgrep uninstall ${name}, then "id" of nodes.${name} in the configuration.`,
    },
  );
}

function otherId({ name, nodeId }: KnownNode, before: number): PgrepError {
  return new PgrepError(
    'config',
    `Node ${name} has the id ${nodeId}, but others know it as ${before}: its database is a new one.`,
    {
      hint: `If the old one is lost for good, type pgrep forget-node ${name} --force first.`,
    },
  );
}

function forgotten({ name, nodeId }: KnownNode): PgrepError {
  return new PgrepError(
    'config',
    `Node ${name} (id ${nodeId}) was forgotten: what it wrote since then would be taken for older changes.`,
    {
      hint: `Begin anew: pgrep uninstall ${name}, which gives it another id, then empty its table and repeat this command.`,
    },
  );
}
