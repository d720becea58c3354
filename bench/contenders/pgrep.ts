import type { CopyResult } from '../../src/app/results.ts';
import type { Attached, Contender, Place } from '../trial.ts';
import { timed } from '../until.ts';
import { PgrepCli } from './pgrep-cli.ts';

/** pgrep as a user runs it: the built command line, and `pgrep run` as a process of its own. */
export const pgrep: Contender = {
  name: 'pgrep',
  follows: true,
  bulkShare: 1,
  async attach(place: Place): Promise<Attached> {
    const cli = await addTable(place);
    const daemon = cli.daemon();
    return { usage: () => daemon.usage(), [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
  },
};

/** pgrep's copy of existing rows: `copyMs` as `pgrep copy` reports it, `commandMs` of the whole process; no daemon runs. */
export const pgrepCopy: Contender = {
  name: 'pgrep',
  follows: false,
  bulkShare: 1,
  async attach(place: Place): Promise<Attached> {
    const cli = await addTable(place);
    return {
      async copy() {
        let output = '';
        const commandMs = await timed(async () => {
          output = await cli.command('copy', 'bench.item', '--restart', '--json');
        });
        const { tables } = JSON.parse(output) as CopyResult;
        return { copyMs: tables.reduce((sum, table) => sum + table.seconds * 1000, 0), commandMs };
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};

async function addTable(place: Place): Promise<PgrepCli> {
  const cli = await PgrepCli.at(place);
  await cli.command('init');
  const index = place.target.kind === 'elasticsearch' ? ['--index', place.target.index] : [];
  await cli.command('add-table', 'bench.item', '--to', 'target', '--no-copy', ...index);
  return cli;
}
