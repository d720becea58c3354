import { planCapture, type Capture } from '../../capture/install-capture.ts';
import { isMigrated } from '../../db/migrate.ts';
import { showTable, type Route, type TableName } from '../../core/route.ts';
import { PgrepError } from '../../core/error.ts';
import { loadRoutes } from '../../db/route-store.ts';
import { describeTable, type TableDescription } from '../../db/table-description.ts';
import { ownId } from '../add-one-way.ts';
import type { App } from '../open.ts';

/** A node that takes part in a two-way route, with its table. */
export interface Member {
  readonly node: string;
  readonly nodeId: number;
  readonly description: TableDescription;
  /** As it is, or would be. */
  readonly capture: Capture;
  /** The table's routes from here, one-way ones too. */
  readonly routes: readonly Route[];
  /** This table's column names by those of the home node's table; a name that is absent is the same. */
  readonly names: Readonly<Record<string, string>>;
}

interface MemberInput {
  readonly node: string;
  readonly table: TableName;
  /** Key columns by their names here; absent: the primary key, or what the table is captured by. */
  readonly key?: readonly string[];
  readonly nodeId: number | undefined;
  readonly names: Readonly<Record<string, string>>;
}

/** Looks at a node's table; changes nothing. Throws `table` naming the node. */
export async function readMember(app: App, input: MemberInput): Promise<Member> {
  const { node, table, key, names } = input;
  const session = await app.session(node);
  const description = await describeTable(session, table);
  const nodeId = input.nodeId ?? (await ownId(session, node));
  const capture = await planCapture(session, { table, ...(key === undefined ? {} : { key }), nodeId });
  const routes = (await isMigrated(session)) ? await loadRoutes(session, node, table) : [];
  return { node, nodeId, description, capture, routes, names };
}

/** A column's name at a member, by its name at home. */
export function nameAt(member: Member, column: string): string {
  return member.names[column] ?? column;
}

/** The peers of a table at a member: where its two-way routes lead. */
export function peersOf(member: Member): readonly string[] {
  return member.routes.filter((route) => route.twoWay !== null).map((route) => route.target);
}

/** Whether what arrives at a member goes on to its other peers. */
export function passesOn(member: Member): boolean {
  return member.routes.some((route) => route.twoWay?.forward === true);
}

/** Refuses members whose peers would not get what the new ones write. `forwards`: will pass on, once this is carried out. */
export function checkWholeMesh(members: readonly Member[], home: string, forwards: (member: Member) => boolean): void {
  for (const member of members) {
    // Who is linked with every member hears of all changes.
    const hears = (peer: string): boolean =>
      members.every((each) => each.node === peer || peersOf(each).includes(peer));
    const outside = peersOf(member).filter((peer) => !members.some(({ node }) => node === peer) && !hears(peer));
    const isNew = members.some((other) => other !== member && !peersOf(member).includes(other.node));
    if (outside.length === 0 || !isNew || forwards(member)) continue;
    const table = showTable(member.description.table);
    const all = [...members.map(({ node }) => node), ...outside].filter((node) => node !== home);
    const spokes = members.filter((other) => other !== member).map(({ node }) => node);
    throw new PgrepError(
      'route',
      `${table} of ${member.node} is kept equal with ${outside.join(', ')} too, who would never hear of changes made at the new nodes.`,
      {
        hint: `Name all of them: --to ${all.join(',')}; or let ${member.node} pass changes on: pgrep add-table ${table} --from ${member.node} --to ${spokes.join(',')} --two-way --forward.`,
      },
    );
  }
}
