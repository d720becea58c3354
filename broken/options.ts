import { parseArgs } from 'node:util';
import { PgrepError } from '../src/core/error.ts';
import { type Breakage } from './breakage.ts';
import { breakages, control } from './breakages.ts';

export interface Options {
  readonly chosen: readonly Breakage[];
  /** Runs of each breakage until it is found, at most; and of the control. */
  readonly runs: number;
  readonly controlRuns: number;
  /** Seed of the first run of each; the next has the next. */
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly json: boolean;
  readonly help: boolean;
}

const all = [control, ...breakages];

export const usage = `npm run torture:broken -- [options]
  --only a,c,b-sidecar   steps, or single breakages: ${all.map(({ name }) => name).join(', ')}
  --runs 6               torture each at most so often until it is found
  --control 3            runs of the unbroken algorithm, one topology after the other
  --seed 1               seed of the first run
  --minutes 1            length of a run, without the draining
  --nodes 3              nodes at the beginning of a run
  --json                 print JSON`;

/** Reads the command line; throws `usage` naming the option that is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    chosen: choose(values.only),
    runs: whole(values.runs, '--runs', 1),
    controlRuns: whole(values.control, '--control', 1),
    seed: whole(values.seed, '--seed', 0),
    minutes: whole(values.minutes, '--minutes', 1),
    nodes: whole(values.nodes, '--nodes', 2),
    json: values.json,
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        runs: { type: 'string', default: '6' },
        control: { type: 'string', default: '3' },
        seed: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '1' },
        nodes: { type: 'string', default: '3' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new PgrepError('usage', message, { hint: usage, cause });
  }
}

function choose(only: string | undefined): readonly Breakage[] {
  if (only === undefined) return all;
  const wanted = only.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !all.some((each) => each.name === name || each.step === name));
  if (unknown !== undefined) throw new PgrepError('usage', `--only ${unknown}: no step or breakage.`, { hint: usage });
  return all.filter(({ name, step }) => wanted.includes(name) || wanted.includes(step));
}

function whole(text: string, option: string, least: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new PgrepError('usage', `${option} ${text}: not a whole number from ${least}.`, { hint: usage });
}
