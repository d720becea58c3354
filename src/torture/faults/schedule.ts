import type { TortureOptions } from '../options.ts';
import { seededRandom, type Random } from '../random.ts';
import { forgettable, nodeName, shapeOf } from '../topology.ts';

/** Something that happens to a node: at `atMs` after the start, for `forMs` (0: at once). */
export interface Fault {
  readonly atMs: number;
  readonly forMs: number;
  readonly node: string;
  readonly event: FaultEvent;
}

/** What can happen. `lose reply`: the answer to a replayer's next COMMIT at the node. `pause replayer`: it is stopped, with all that it holds. `skew`: its clock is stepped to so many ms off. */
export type FaultEvent =
  | {
      readonly kind:
        | 'kill replayer'
        | 'pause replayer'
        | 'kill server'
        | 'cut'
        | 'blackhole'
        | 'refuse'
        | 'lose reply'
        | 'join'
        | 'forget';
    }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'skew'; readonly offsetMs: number };

/** What is drawn for a run besides its faults. */
export interface Schedule {
  readonly faults: readonly Fault[];
  /** True: one replayer for each node; false: one for all. */
  readonly replayerEach: boolean;
  /** Number of keys that most writes go to at one time. */
  readonly hotKeys: number;
  /** Until when TRUNCATE happens: one sets right what went wrong before, so most runs end without. */
  readonly truncatesMs: number;
}

/** Two clocks are at most twice this apart, which is within the default of `maxClockSkewMs`. */
const maxSkewMs = 140_000;

/** Draws all that happens in a run. Depends on the options alone. In order of time; no two faults of one node overlap. */
export function drawSchedule(options: Omit<TortureOptions, 'keep' | 'program'>): Schedule {
  const random = seededRandom(options.seed, 'faults');
  const replayerEach = random.chance(0.5);
  const hotKeys = random.between(5, 12);
  const members = membership(random, options);
  const isolation = isolate(options, members, replayerEach);
  const others = trouble(random, options, members).filter((fault) => !overlap(fault, isolation));
  const faults = [...members, isolation, ...others].sort((one, other) => one.atMs - other.atMs);
  const truncatesMs = options.seconds * (seededRandom(options.seed, 'truncates').chance(0.7) ? 600 : 1000);
  return { faults, replayerEach, hotKeys, truncatesMs };
}

/** One node joins in the first half, one is lost in the second: time for both to meet what was on its way. */
function membership(
  random: Random,
  { nodes, topology, seconds }: Omit<TortureOptions, 'keep' | 'program'>,
): readonly Fault[] {
  const joinMs = Math.round(seconds * random.between(200, 400));
  const forgetMs = Math.round(seconds * random.between(550, 750));
  const joining = nodeName(nodes);
  const victims = [...forgettable(topology, shapeOf(topology, nodes)), ...(nodes > 1 ? [joining] : [])];
  const join: Fault = { atMs: joinMs, forMs: 0, node: joining, event: { kind: 'join' } };
  if (nodes < 2) return [];
  return [join, { atMs: forgetMs, forMs: 0, node: random.pick(victims), event: { kind: 'forget' } }];
}

/**
 * One node that stays is cut off near the end, and beyond it, while all are written: so long that the others could forget the versions
 * that it lacks. Or the hub's own replayer, where it has one, is paused: what others send directly goes on.
 */
function isolate(
  { seed, nodes, seconds, topology }: Omit<TortureOptions, 'keep' | 'program'>,
  members: readonly Fault[],
  replayerEach: boolean,
): Fault {
  const random = seededRandom(seed, 'isolation');
  const lost = members.find(({ event }) => event.kind === 'forget')?.node;
  const staying = Array.from({ length: nodes }, (_, place) => nodeName(place)).filter((name) => name !== lost);
  const fault = { atMs: seconds * 1000 - random.between(18_000, 22_000), forMs: isolationMs };
  const node = random.pick(staying);
  return replayerEach && random.chance(0.5)
    ? { ...fault, node: shapeOf(topology, nodes).hub, event: { kind: 'pause replayer' } }
    : { ...fault, node, event: { kind: 'refuse' } };
}

function overlap(one: Fault, other: Fault): boolean {
  const apart = one.atMs + one.forMs + apartMs < other.atMs || other.atMs + other.forMs + apartMs < one.atMs;
  return one.node === other.node && !apart;
}

function trouble(
  random: Random,
  { nodes, seconds }: Omit<TortureOptions, 'keep' | 'program'>,
  members: readonly Fault[],
): readonly Fault[] {
  const names = Array.from({ length: nodes + (members.length > 0 ? 1 : 0) }, (_, place) => nodeName(place));
  const freeMs = new Map(names.map((name) => [name, members.find(({ node, event }) => node === name && event.kind === 'join')?.atMs ?? 0])); // prettier-ignore
  const goneMs = new Map(members.filter(({ event }) => event.kind === 'forget').map(({ node, atMs }) => [node, atMs]));
  const faults: Fault[] = [];
  for (let atMs = 2_000; atMs < seconds * 1000 - 3_000; atMs += random.between(300, 3_000)) {
    const node = random.pick(names);
    const { forMs, event } = random.weighted(events)(random);
    if ((freeMs.get(node) ?? 0) > atMs || (goneMs.get(node) ?? Infinity) < atMs + forMs) continue;
    faults.push({ atMs, forMs, node, event });
    freeMs.set(node, atMs + forMs + apartMs);
  }
  return faults;
}

const apartMs = 500;

// They look every five seconds, and at what was there at the last look but one.
const isolationMs = 25_000;

type Draw = (random: Random) => Pick<Fault, 'forMs' | 'event'>;

// Silence is given up after about 30 s; a minute has room for little of that, so most silences are short.
const events: readonly (readonly [weight: number, draw: Draw])[] = [
  [5, (random) => ({ forMs: random.between(0, 3_000), event: { kind: 'kill replayer' } })],
  [2, (random) => ({ forMs: random.between(0, 4_000), event: { kind: 'kill server' } })],
  [4, () => ({ forMs: 0, event: { kind: 'cut' } })],
  [2, (random) => ({ forMs: random.between(500, 6_000), event: { kind: 'blackhole' } })],
  [2, (random) => ({ forMs: random.between(500, 4_000), event: { kind: 'refuse' } })],
  [3, (random) => ({ forMs: random.between(1_000, 8_000), event: { kind: 'slow', delayMs: random.between(5, 150) } })],
  [5, () => ({ forMs: 0, event: { kind: 'lose reply' } })],
  [4, (random) => ({ forMs: 0, event: { kind: 'skew', offsetMs: random.between(-maxSkewMs, maxSkewMs) } })],
];

/** `kill server b, 1.5 s` for progress and report. */
export function showFault({ node, forMs, event }: Fault): string {
  const detail =
    event.kind === 'slow' ? ` by ${event.delayMs} ms` : event.kind === 'skew' ? ` to ${event.offsetMs / 1000} s` : '';
  return `${event.kind} ${node}${detail}${forMs > 0 ? `, ${forMs / 1000} s` : ''}`;
}
