import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { runPgrep } from '../support/daemon.ts';

/** Above the minute that it writes: servers, the join, healing, draining, emptying; on two busy cores. */
const deadlineMs = 420_000;

test.each([
  ['a fixed seed', 1],
  ['a fresh seed', randomInt(1_000_000)],
])(
  'G2, G5, G6: a minute of torture with %s (%i) leaves equal nodes and every lost version recorded',
  async (_, seed) => {
    const args = ['torture', '--nodes', '3', '--minutes', '1', '--seed', String(seed), '--json'];
    const { code, stdout, stderr } = await runPgrep(args, { deadlineMs });
    const result = (stdout === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>;
    // Findings first: with the seed in the test's name they are what a person needs.
    expect({ findings: result['findings'], folder: result['folder'], said: code === 0 ? '' : stderr }).toEqual({ findings: [], folder: null, said: '' }); // prettier-ignore
    expect(Number(result['committed'])).toBeGreaterThan(500);
    expect(Number(result['discarded'])).toBeGreaterThan(0);
  },
  deadlineMs + 10_000,
);
