import type { Route } from '../../core/route.ts';
import type { PlannedRoute } from '../plan-target.ts';
import { peersOf, type Member } from './member.ts';

/** One way of a pair of members. */
export interface Pair {
  readonly from: Member;
  readonly to: Member;
  readonly planned: PlannedRoute;
  readonly fill: Fill;
}

/**
 * How a route's rows come to its target. `settled`: they are there. `queue`: what is queued suffices. `first`: copied before the new
 * nodes get rows of others (little or nothing, unless nodes are merged). `home`: copied from the home node.
 */
export type Fill = 'settled' | 'queue' | 'first' | 'home';

interface FillInput {
  readonly from: Member;
  readonly to: Member;
  readonly home: Member;
  readonly existing: Route | null;
  readonly copy: boolean;
  readonly merge: boolean;
}

/** Decides how a route is filled. */
export function fillOf({ from, to, home, existing, copy, merge }: FillInput): Fill {
  if (existing?.state === 'live') return 'settled';
  if (!copy) return 'queue';
  if (from === home) return 'home';
  // Rows of a one-way target came from its source.
  const followsHome = home.routes.some((route) => route.target === from.node && route.state === 'live');
  if (isJoining(from, home)) return followsHome && !merge ? 'queue' : 'first';
  // What a member holds is at home too, or on its way there: it comes with the copy from home.
  return isJoining(to, home) ? 'queue' : 'first';
}

/** True while a member is not linked with the home node both ways. */
export function isJoining(member: Member, home: Member): boolean {
  if (member === home) return false;
  return !(isLive(home, member) && isLive(member, home));
}

function isLive(from: Member, to: Member): boolean {
  return peersOf(from).includes(to.node) && from.routes.some((route) => route.target === to.node && route.state === 'live'); // prettier-ignore
}

/** The ordered pairs of a mesh (each with each), or of a star (the home node with each). */
export function orderedPairs(
  home: Member,
  others: readonly Member[],
  star: boolean,
): readonly (readonly [Member, Member])[] {
  const ways = others.flatMap((other) => [[home, other] as const, [other, home] as const]);
  if (star) return ways;
  return [...ways, ...others.flatMap((from) => others.filter((to) => to !== from).map((to) => [from, to] as const))];
}
