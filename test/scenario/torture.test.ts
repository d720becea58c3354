import { expect, test } from 'vitest';
import { runPgrep } from '../support/daemon.ts';

/** Above the two minutes that it writes: servers, the join, healing, draining, emptying; on two busy cores. */
const deadlineMs = 540_000;

const topologies = ['mesh', 'star', 'chain'] as const;
// A new one in each run, unless it is given; it is in the test's name and so in every report.
const fresh = Number(process.env['PGREP_SEED'] ?? Date.now() % 1_000_000);

// At once: each waits for most of its time, and the suite would wait for both.
test.concurrent.each([
  ['star', 6],
  [topologies[fresh % topologies.length] ?? 'mesh', fresh],
] as const)(
  'G2, G5, G6: two minutes of torture of a %s from seed %i leave equal nodes and every lost version recorded',
  async (topology, seed) => {
    const args = ['torture', '--nodes', '3', '--minutes', '2', '--topology', topology, '--seed', String(seed), '--json']; // prettier-ignore
    const { code, stdout, stderr } = await runPgrep(args, { deadlineMs });
    const result = (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>;
    // Findings first: they are what a person needs.
    expect({ findings: result['findings'], folder: result['folder'], said: code === 0 ? '' : stderr }).toEqual({ findings: [], folder: null, said: '' }); // prettier-ignore
    expect(Number(result['committed'])).toBeGreaterThan(500);
    expect(Number(result['discarded'])).toBeGreaterThan(0);
    // Each fault is said when its time has come; what is counted are those that happened, and those that failed.
    const [happened = 0, failed = 0] = [result['faults'], result['faultsFailed']].map((each) => sum(each as Record<string, number>)); // prettier-ignore
    expect(happened).toBeGreaterThan(0);
    expect(failed).toBe(stderr.match(/ failed: /g)?.length ?? 0);
    expect(stderr.match(/^[\d.]+ s: /gm)?.length).toBeGreaterThanOrEqual(happened + failed);
  },
  deadlineMs + 10_000,
);

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, number) => total + number, 0);
}
