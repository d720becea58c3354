import { describe, expect, test } from 'vitest';
import { drawSchedule, type Fault, type Schedule } from '../../src/torture/faults/schedule.ts';
import type { Topology } from '../../src/torture/options.ts';
import { forgettable, shapeOf } from '../../src/torture/topology.ts';

const minutes5 = { nodes: 3, seconds: 300, topology: 'mesh' } as const;
const seeds = Array.from({ length: 20 }, (_, place) => place + 1);

function drawn(seed: number, topology: Topology = 'mesh'): Schedule {
  return drawSchedule({ ...minutes5, topology, seed });
}

const kindsOf = ({ faults }: Schedule): readonly string[] => [...new Set(faults.map(({ event }) => event.kind))].sort();

describe('the schedule of a run', () => {
  test('depends on the seed alone, and on that', () => {
    expect(drawn(7)).toEqual(drawn(7));
    expect(drawn(8)).not.toEqual(drawn(7));
  });

  test.each(seeds)('of five minutes has every fault there is: seed %d', (seed) => {
    expect(kindsOf(drawn(seed)).filter((kind) => kind !== 'pause replayer')).toEqual(['blackhole', 'cut', 'forget', 'join', 'kill replayer', 'kill server', 'lose reply', 'refuse', 'skew', 'slow']); // prettier-ignore
  });

  test('kills several servers in each run, and steps clocks by minutes, ahead and back again', () => {
    const skews = seeds.map((seed) => {
      const { faults } = drawn(seed);
      expect(new Set(faults.filter(({ event }) => event.kind === 'kill server').map(({ node }) => node)).size).toBeGreaterThan(1); // prettier-ignore
      return offsetsOf(faults);
    });
    const steps = skews.flatMap((nodes) => nodes.flatMap((offsets) => offsets.map((offset, place) => offset - (offsets[place - 1] ?? 0)))); // prettier-ignore
    expect(steps.filter((step) => step > 60_000).length).toBeGreaterThan(seeds.length);
    expect(steps.filter((step) => step < -60_000).length).toBeGreaterThan(seeds.length);
  });

  test('has one node join under load and one lost later, never the hub', () => {
    for (const topology of ['mesh', 'chain', 'star'] as const) {
      for (const seed of seeds) {
        const { faults } = drawn(seed, topology);
        const [join, ...joins] = faults.filter(({ event }) => event.kind === 'join');
        const [lost, ...others] = faults.filter(({ event }) => event.kind === 'forget');
        expect([joins, others]).toEqual([[], []]);
        expect([join?.node, (join?.atMs ?? 0) < (lost?.atMs ?? 0), lost?.node === shapeOf(topology, 3).hub]).toEqual(['d', true, false]); // prettier-ignore
        expect(faults.filter(({ node, atMs }) => node === lost?.node && atMs > lost.atMs)).toEqual([]);
      }
    }
  });

  test('near the end cuts one node off, or pauses the hub’s own replayer', () => {
    const ends = seeds.map((seed) => ({ ...drawn(seed, 'star'), seed })).map(({ faults, replayerEach }) => ({ replayerEach, long: faults.filter(({ forMs }) => forMs === 25_000) })); // prettier-ignore
    const kinds = ends.map(({ long }) => long.map(({ event, node }) => (event.kind === 'pause replayer' ? `pause ${node}` : event.kind))); // prettier-ignore
    expect(new Set(kinds.map((kind) => kind.join()))).toEqual(new Set(['refuse', 'pause a']));
    expect(ends.filter(({ replayerEach, long }) => !replayerEach && long[0]?.event.kind !== 'refuse')).toEqual([]);
  });

  test('leaves a node alone while something happens to it, in the order of time', () => {
    for (const seed of seeds) {
      const { faults } = drawn(seed);
      expect(faults.map(({ atMs }) => atMs)).toEqual(faults.map(({ atMs }) => atMs).sort((one, other) => one - other));
      for (const name of ['a', 'b', 'c', 'd']) {
        const own = faults.filter(({ node, event }) => node === name && event.kind !== 'join' && event.kind !== 'forget'); // prettier-ignore
        expect(own.filter((fault, place) => fault.atMs < endOf(own[place - 1]))).toEqual([]);
      }
    }
  });

  test('runs with one replayer for all or with one for each, with few hot keys, and mostly without TRUNCATE at the end', () => {
    const all = seeds.map((seed) => drawn(seed));
    expect(new Set(all.map(({ replayerEach }) => replayerEach)).size).toBe(2);
    for (const { hotKeys } of all) expect(hotKeys).toSatisfy((count: number) => count >= 5 && count <= 12);
    expect(new Set(all.map(({ truncatesMs }) => truncatesMs))).toEqual(new Set([180_000, 300_000]));
  });
});

/** How far off each node's clock is set, in the order of time. */
function offsetsOf(faults: readonly Fault[]): readonly (readonly number[])[] {
  return ['a', 'b', 'c', 'd'].map((name) => faults.flatMap(({ node, event }) => (node === name && event.kind === 'skew' ? [event.offsetMs] : []))); // prettier-ignore
}

function endOf(fault: Fault | undefined): number {
  return fault === undefined ? 0 : fault.atMs + fault.forMs;
}

describe('topologies', () => {
  test('link all nodes: all with all, all with the first, each with the next', () => {
    expect(shapeOf('mesh', 4).additions).toEqual([{ from: 'a', to: ['b', 'c', 'd'], forward: false }]);
    expect(shapeOf('star', 4).additions).toEqual([{ from: 'a', to: ['b', 'c', 'd'], forward: true }]);
    expect(shapeOf('chain', 4).additions).toEqual([
      { from: 'b', to: ['a', 'c'], forward: true },
      { from: 'c', to: ['d'], forward: true },
    ]);
  });

  test('have two nodes beside the hub that exchange a table of their own', () => {
    const aside = (topology: Topology, count: number): readonly string[] => {
      const found = shapeOf(topology, count).aside;
      return found === null ? [] : [found.from, ...found.to];
    };
    expect([aside('mesh', 4), aside('star', 3), aside('chain', 3), aside('chain', 4)]).toEqual([['b', 'd'], ['b', 'c'], ['a', 'c'], ['a', 'd']]); // prettier-ignore
    expect([aside('mesh', 2), aside('star', 2), aside('chain', 2), aside('chain', 1)]).toEqual([[], [], [], []]);
  });

  test('may lose only who cuts nobody off', () => {
    const lost = (topology: Topology): readonly string[] => forgettable(topology, shapeOf(topology, 4));
    expect([lost('mesh'), lost('star'), lost('chain')]).toEqual([['b', 'c', 'd'], ['b', 'c', 'd'], ['a', 'd']]); // prettier-ignore
  });
});
