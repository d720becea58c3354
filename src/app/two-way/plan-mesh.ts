import type { Route, TableName, TwoWay } from '../../core/route.ts';
import { showTable } from '../../core/route.ts';
import { findTable } from '../../db/table-description.ts';
import { initMissing, type InitMissing } from '../init.ts';
import type { App } from '../open.ts';
import { planTargetRoute, type PlannedRoute } from '../plan-target.ts';
import { checkEqualColumns } from './equal-columns.ts';
import { checkKnownNodes, readKnownNodes } from './known-nodes.ts';
import { checkWholeMesh, nameAt, passesOn, readMember, type Member } from './member.ts';
import { checkOptions, columnsFixed, filtered, type TwoWayTableOptions } from './options.ts';
import { fillOf, isJoining, orderedPairs, type Pair } from './pair.ts';
import { checkPolicyFunction, choosePolicy } from './policy.ts';
import { refuseFilledMember } from './filled.ts';

/** Everything that adding a two-way table will do, checked; nothing is changed yet. */
export interface MeshPlan {
  readonly init: InitMissing;
  readonly home: Member;
  readonly members: readonly Member[];
  readonly pairs: readonly Pair[];
  /** Routes of the home node to nodes that this command does not name: they forward from now on. */
  readonly alsoForward: readonly (Route & { readonly twoWay: TwoWay })[];
}

/** Plans a mesh, or a star around the home node, and refuses what cannot work. */
export async function planMesh(app: App, options: TwoWayTableOptions, signal: AbortSignal): Promise<MeshPlan> {
  checkOptions(app, options);
  const init = await initMissing(app, [options.from, ...options.to], true);
  const home = await readHome(app, options, init);
  const others: Member[] = [];
  for (const node of options.to) others.push(await readOther(app, { options, init, home, node }, signal));
  const members = [home, ...others];
  await checkIds(app, members);
  const star = options.forward === true || passesOn(home);
  const forwards = (member: Member): boolean => (member === home && star) || passesOn(member);
  checkWholeMesh(members, home.node, forwards);
  const policy = choosePolicy(options, policyRoute(home, options.to));
  for (const each of members) await checkPolicyFunction(await app.session(each.node), policy, each.description.table);
  const columns = sharedColumns(home, others, options);
  const pairs: Pair[] = [];
  for (const [from, to] of orderedPairs(home, others, star)) {
    const twoWay = { ...policy, forward: forwards(from) };
    const planned = await planPair(app, { from, to, home, columns, twoWay }, signal);
    pairs.push({ from, to, planned, fill: fillOf({ from, to, home, existing: planned.existing, copy: options.copy, merge: options.merge === true }) }); // prettier-ignore
  }
  for (const other of others) {
    checkEqualColumns(home, other, columns.map((column) => [column, nameAt(other, column)] as const)); // prettier-ignore
    if (isJoining(other, home)) await refuseFilledMember(app, { home, other, options });
  }
  const named = new Set(options.to);
  const alsoForward = star ? home.routes.filter(isKeptApart).filter(({ target }) => !named.has(target)) : [];
  return { init, home, members, pairs, alsoForward };
}

function isKeptApart(route: Route): route is Route & { readonly twoWay: TwoWay } {
  return route.twoWay?.forward === false;
}

async function readHome(app: App, options: TwoWayTableOptions, init: InitMissing): Promise<Member> {
  const { table, from: node, key } = options;
  const nodeId = init.nodeIds.get(node);
  return await readMember(app, { node, table, nodeId, names: {}, ...(key === undefined ? {} : { key }) });
}

interface OtherInput {
  readonly options: TwoWayTableOptions;
  readonly init: InitMissing;
  readonly home: Member;
  readonly node: string;
}

async function readOther(app: App, { options, init, home, node }: OtherInput, signal: AbortSignal): Promise<Member> {
  const existing = home.routes.find((route) => route.target === node);
  if (existing !== undefined && existing.filter !== null) throw filtered(existing);
  const table = options.as ?? existing?.targetTable ?? options.table;
  const names = options.map ?? (existing === undefined ? {} : renamed(existing));
  const key = home.capture.key.map((column) => names[column] ?? column);
  if ((await findTable(await app.session(node), table)) === null) await refuseMissing(app, { home, node, table, names }, signal); // prettier-ignore
  return await readMember(app, { node, table, key, names, nodeId: init.nodeIds.get(node) });
}

/** A one-way plan says what to create. */
async function refuseMissing(
  app: App,
  at: { home: Member; node: string; table: TableName; names: Member['names'] },
  signal: AbortSignal,
): Promise<void> {
  const { description, capture, node: from } = at.home;
  const { key, tableId, packed } = capture;
  await planTargetRoute(app, { from, to: at.node, description, key, tableId, packed, options: { as: at.table, map: at.names } }, signal); // prettier-ignore
}

function renamed(route: Route): Readonly<Record<string, string>> {
  const others = route.columns.filter((column) => column.source !== column.target);
  return Object.fromEntries(others.map((column) => [column.source, column.target]));
}

async function checkIds(app: App, members: readonly Member[]): Promise<void> {
  const nodes = members.map(({ node, nodeId }) => ({ name: node, nodeId, forgotten: false, exchange: null }));
  for (const { node } of members) checkKnownNodes(nodes, await readKnownNodes(await app.session(node)));
}

function policyRoute(home: Member, to: readonly string[]): Route | undefined {
  const twoWay = home.routes.filter((route) => route.twoWay !== null);
  return twoWay.find((route) => to.includes(route.target)) ?? twoWay[0];
}

/** The replicated columns by their names at home, in its order: what is generated anywhere cannot be written there. */
function sharedColumns(home: Member, others: readonly Member[], options: TwoWayTableOptions): readonly string[] {
  const existing = home.routes.find((route) => route.twoWay !== null) ?? home.routes.find((route) => options.to.includes(route.target)); // prettier-ignore
  if (options.columns !== undefined) return options.columns;
  if (existing !== undefined) return existing.columns.map((column) => column.source);
  const isGenerated = (member: Member, name: string): boolean =>
    member.description.columns.some((column) => column.name === nameAt(member, name) && column.generated !== 'no');
  return home.description.columns
    .map((column) => column.name)
    .filter((name) => ![home, ...others].some((member) => isGenerated(member, name)));
}

interface PairInput {
  readonly from: Member;
  readonly to: Member;
  readonly home: Member;
  readonly columns: readonly string[];
  readonly twoWay: TwoWay;
}

async function planPair(app: App, input: PairInput, signal: AbortSignal): Promise<PlannedRoute> {
  const { from, to, columns, twoWay } = input;
  const { key, tableId, packed } = from.capture;
  const existing = from.routes.find((route) => route.target === to.node);
  if (existing !== undefined && existing.filter !== null) throw filtered(existing);
  const names = columns.map((column) => [nameAt(from, column), nameAt(to, column)] as const);
  const map = Object.fromEntries(names.filter(([here, there]) => here !== there));
  const options = { as: to.description.table, columns: names.map(([here]) => here), map };
  const { description } = from;
  const planned = await planTargetRoute(app, { from: from.node, to: to.node, description, key, tableId, packed, options, twoWay }, signal); // prettier-ignore
  if (planned.differs) throw columnsFixed(from.node, showTable(description.table), to.node);
  return planned;
}
