import { parseArgs } from 'node:util';
import { PgrepError } from '../src/core/error.ts';
import type { ContenderName, WorkloadName } from './trial.ts';

export interface Options {
  /** Null: all workloads. */
  readonly only: readonly WorkloadName[] | null;
  /** Null: all contenders. */
  readonly contenders: readonly ContenderName[] | null;
  readonly rounds: number;
  /** Factor on rows, transactions and seconds. */
  readonly scale: number;
  /** Null: pgbench where it is installed. */
  readonly load: 'pgbench' | 'node' | null;
  /** File or folder for the JSON; in a folder the file is named for the time. */
  readonly out: string;
  readonly help: boolean;
}

const workloadNames: readonly WorkloadName[] = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'ES-copy', 'ES-W1', 'ES-W5'];
const contenderNames: readonly ContenderName[] = ['none', 'native', 'dblink', 'pgrep', 'pgrep two-way', 'bulk loop'];

export const usage = `npm run bench -- [options]
  --only W1,ES-copy         workloads to try: ${workloadNames.join(', ')} (default all)
  --contenders none,pgrep   contenders to try: ${contenderNames.join(', ')} (default all)
  --rounds 3                how often each pair is tried
  --scale 0.1               factor on rows, transactions and seconds (figures of small scales say little)
  --load node               who makes single-row transactions: pgbench or node (default pgbench where it is installed)
  --out bench/results       file or folder for the JSON`;

/** Reads the command line; throws `usage` naming the option that is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  return {
    only: choice(values.only, workloadNames, '--only'),
    contenders: choice(values.contenders, contenderNames, '--contenders'),
    rounds: Math.round(positive(values.rounds, '--rounds')),
    scale: positive(values.scale, '--scale'),
    load: choice(values.load, ['pgbench', 'node'], '--load')?.[0] ?? null,
    out: values.out,
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        contenders: { type: 'string' },
        rounds: { type: 'string', default: '3' },
        scale: { type: 'string', default: '1' },
        load: { type: 'string' },
        out: { type: 'string', default: 'bench/results' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new PgrepError('usage', message, { hint: usage, cause });
  }
}

function choice<T extends string>(list: string | undefined, names: readonly T[], option: string): readonly T[] | null {
  if (list === undefined) return null;
  return list.split(',').map((wanted) => {
    const found = names.find((name) => name.toLowerCase() === wanted.trim().toLowerCase());
    if (found === undefined) throw new PgrepError('usage', `${option} ${wanted}: not one of ${names.join(', ')}`);
    return found;
  });
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new PgrepError('usage', `${option} ${text}: not a number above 0`);
  return value;
}
