import type { Topology } from './options.ts';

/** How the nodes of a run are linked. Names are `a`, `b`, …; `a` is the configuration's home. */
export interface Shape {
  readonly names: readonly string[];
  /** The node that tables are added from: in a star and a chain it passes on what arrives. */
  readonly hub: string;
  /** Calls of `addTable` that link all nodes, in order. */
  readonly additions: readonly Addition[];
  /** Two nodes other than the hub that exchange a table of their own; null: there are none. Not linked otherwise, but in a mesh. */
  readonly aside: Addition | null;
}

/** One `addTable --two-way`. */
export interface Addition {
  readonly from: string;
  readonly to: readonly string[];
  readonly forward: boolean;
}

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** The name of the node of this number, from 0. */
export function nodeName(place: number): string {
  return letters[place] ?? `n${place}`;
}

/** Plans the links of `count` nodes, at least one. */
export function shapeOf(topology: Topology, count: number): Shape {
  const names = Array.from({ length: count }, (_, place) => nodeName(place));
  const [first = 'a', second = first] = names;
  const aside = asideOf(names, topology === 'chain' ? second : first);
  switch (topology) {
    case 'mesh':
    case 'star':
      return {
        names,
        hub: first,
        aside,
        additions: [{ from: first, to: names.slice(1), forward: topology === 'star' }].filter(
          ({ to }) => to.length > 0,
        ),
      };
    case 'chain':
      return {
        names,
        hub: second,
        aside,
        additions: names.slice(1, Math.max(2, count - 1)).map((from, place) => ({
          from,
          to: [...(place === 0 ? [first] : []), ...names.slice(place + 2, place + 3)],
          forward: count > 2,
        })),
      };
  }
}

function asideOf(names: readonly string[], hub: string): Addition | null {
  const [from, to] = [names.find((name) => name !== hub), names.at(-1)];
  return from === undefined || to === undefined || to === from || to === hub
    ? null
    : { from, to: [to], forward: false };
}

/** The call that adds `name` to nodes that are linked already: in a mesh to all of them, else to the hub. */
export function joinOf(
  topology: Topology,
  { hub, members, name }: { readonly hub: string; readonly members: readonly string[]; readonly name: string },
): Addition {
  const others = members.filter((member) => member !== hub);
  return topology === 'mesh' ? { from: hub, to: [...others, name], forward: false } : { from: hub, to: [name], forward: true }; // prettier-ignore
}

/** Nodes that can be lost without cutting others off, and that need not be there to add tables. */
export function forgettable(topology: Topology, { names, hub }: Shape): readonly string[] {
  const ends = topology === 'chain' ? [names[0], names.at(-1)] : names;
  return names.filter((name) => name !== hub && ends.includes(name) && names.length > 1);
}
