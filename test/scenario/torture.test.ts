import { expect, test } from 'vitest';
import { runPgrep } from '../support/daemon.ts';

/** Above the minute that it writes: servers, the join, healing, draining, emptying; on two busy cores. */
const deadlineMs = 420_000;

test.each([
  ['a star', 'star', 6],
  ['a chain', 'chain', 5],
])(
  'G2, G5, G6: a minute of torture of %s leaves equal nodes and every lost version recorded',
  async (_, topology, seed) => {
    const args = ['torture', '--nodes', '3', '--minutes', '1', '--topology', topology, '--seed', String(seed), '--json']; // prettier-ignore
    const { code, stdout, stderr } = await runPgrep(args, { deadlineMs });
    const result = (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>;
    // Findings first: they are what a person needs.
    expect({ findings: result['findings'], folder: result['folder'], said: code === 0 ? '' : stderr }).toEqual({ findings: [], folder: null, said: '' }); // prettier-ignore
    expect(Number(result['committed'])).toBeGreaterThan(500);
    expect(Number(result['discarded'])).toBeGreaterThan(0);
  },
  deadlineMs + 10_000,
);
