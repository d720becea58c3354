import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { errorCodes, PgrepError } from '../../core/error.ts';
import { topologies } from '../../torture/options.ts';
import { torture as runTorture, type TortureResult } from '../../torture/torture.ts';
import type { Command } from '../command.ts';
import type { Input } from '../input.ts';
import { formatNumber } from '../print/human.ts';
import { printResult } from '../print/result.ts';
import { refuseDryRun } from '../refuse-dry-run.ts';

/** The largest seed that is drawn: easy to type again. */
const seeds = 1_000_000;

/** `pgrep torture`: proves on servers of its own that nodes written at once become equal, whatever fails. */
export const torture: Command = {
  path: ['torture'],
  usage: '[--nodes N] [--minutes N] [--seed N] [--topology mesh|chain|star] [--keep]',
  describe: 'Prove on servers of its own that two-way nodes end up equal, whatever fails',
  arguments: { least: 0, most: 0 },
  options: {
    nodes: { kind: 'number', value: 'N', describe: 'Nodes at the beginning; one more joins on the way (default: 3)' },
    minutes: { kind: 'number', value: 'N', describe: 'How long to write and to break things (default: 5)' },
    seed: { kind: 'number', value: 'N', describe: 'Draws operations and faults (default: a new one, printed first)' },
    topology: { kind: 'text', value: 'NAME', describe: 'How nodes are linked: mesh (default), chain or star' },
    keep: { kind: 'flag', describe: 'Keep data folders and logs, also after success' },
  },
  examples: ['pgrep torture --nodes 3 --minutes 5', 'pgrep torture --seed 7 --topology chain --keep'],
  run: async (input, context) => {
    refuseDryRun(context, 'torture', 'It touches no server but those that it starts itself.');
    const seed = input.number('seed', 0) ?? randomInt(seeds);
    context.console.err(`seed ${seed}\n`);
    const options = {
      nodes: readNodes(input),
      seconds: (input.number('minutes', 1) ?? 5) * 60,
      seed,
      topology: input.choice('topology', topologies) ?? 'mesh',
      keep: input.flag('keep'),
      program: fileURLToPath(new URL('../main.js', import.meta.url)),
    };
    const result = await runTorture(options, (line) => context.console.err(`${line}\n`), context.signal);
    printResult(context, result, formatTortured);
    return result.passed ? 0 : errorCodes.no;
  },
};

function readNodes(input: Input): number {
  const nodes = input.number('nodes', 2) ?? 3;
  if (nodes <= 9) return nodes;
  throw new PgrepError('usage', `--nodes is ${nodes}: each is a server of its own.`, { hint: 'Write 2 to 9.' });
}

/** Findings that are printed; a broken run has thousands alike. */
const shownFindings = 20;

function formatTortured(result: TortureResult): string {
  const { passed, seed, nodes, topology, seconds, findings, firstKey, folder } = result;
  const lines = [
    `${passed ? 'Passed' : 'FAILED'}: seed ${seed}, ${nodes} nodes (${topology}), ${seconds} s.`,
    `${formatNumber(result.committed)} transactions committed, ${formatNumber(sum(result.refused))} failed at their node (${counts(result.refused)}).`,
    `Faults: ${counts(result.faults)}.${sum(result.faultsFailed) === 0 ? '' : ` Could not be inflicted: ${counts(result.faultsFailed)}.`}`,
    `${formatNumber(result.versions)} versions of ${formatNumber(result.keys)} keys, ${formatNumber(result.discarded)} lost to a concurrent one, ${formatNumber(result.conflicts)} conflicts recorded, ${formatNumber(result.superseded)} of them with what was made of the other.`,
    ...findings.slice(0, shownFindings).map(({ check, at, message }) => `${check}: ${at === null ? '' : `${at.table} ${at.key}: `}${message}`), // prettier-ignore
    ...(findings.length > shownFindings ? [`… and ${formatNumber(findings.length - shownFindings)} more`] : []),
    ...(firstKey.length > 0 ? ['', 'The first key that is wrong:', ...firstKey] : []),
    ...(folder === null ? [] : [`Data and logs: ${folder}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function sum(each: Readonly<Record<string, number>>): number {
  return Object.values(each).reduce((total, number) => total + number, 0);
}

function counts(each: Readonly<Record<string, number>>): string {
  const named = Object.entries(each).sort(([, one], [, other]) => other - one);
  return named.map(([name, number]) => `${name === '' ? 'connection lost' : name} ${number}`).join(', ') || 'none';
}
