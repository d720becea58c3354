import { send } from '../elasticsearch-http.ts';
import { createEmpty } from '../source-table.ts';
import { execute } from '../sql.ts';
import type { Attached, Contender, Place } from '../trial.ts';
import { timed } from '../until.ts';
import { PgrepCli } from './pgrep-cli.ts';

/** pgrep as a user runs it: the built command line, and `pgrep run` as a process of its own. */
export const pgrep: Contender = { name: 'pgrep', follows: true, bulkShare: 1, attach: (place) => attach(place, []) };

/** The same with a table that may be written at both nodes: rows carry versions. */
export const pgrepTwoWay: Contender = {
  name: 'pgrep two-way',
  follows: true,
  bulkShare: 1,
  attach: (place) => attach(place, ['--two-way']),
};

async function attach(place: Place, options: readonly string[]): Promise<Attached> {
  const cli = await PgrepCli.at(place);
  await cli.command('init');
  await cli.command('add-table', 'bench.item', '--to', 'target', '--no-copy', ...options, ...indexOption(place, ''));
  const daemon = cli.daemon();
  return { usage: () => daemon.usage(), [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
}

/**
 * pgrep's copy of existing rows by `add-table`; no daemon runs. `commandMs` is the whole process; `copyMs` is what it takes
 * longer than `add-table` for a table without rows, which is what the start of the process and the triggers cost.
 */
export const pgrepCopy: Contender = {
  name: 'pgrep',
  follows: false,
  bulkShare: 1,
  async attach(place: Place): Promise<Attached> {
    const cli = await PgrepCli.at(place);
    await cli.command('init');
    await execute(place.sourceUrl, createEmpty);
    const add = (table: string, suffix: string): Promise<number> =>
      timed(() => cli.command('add-table', table, '--to', 'target', ...indexOption(place, suffix)));
    return {
      async copy() {
        const emptyMs = await add('bench.empty', '_empty');
        const commandMs = await add('bench.item', '');
        return { copyMs: commandMs - emptyMs, commandMs };
      },
      [Symbol.asyncDispose]: () => removeEmptyIndex(place),
    };
  },
};

function indexOption(place: Place, suffix: string): readonly string[] {
  return place.target.kind === 'elasticsearch' ? ['--index', `${place.target.index}${suffix}`] : [];
}

async function removeEmptyIndex({ target }: Place): Promise<void> {
  if (target.kind === 'elasticsearch') await send({ method: 'DELETE', url: `${target.url}/${target.index}_empty` });
}
