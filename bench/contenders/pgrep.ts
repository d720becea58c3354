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

/** pgrep's copy of existing rows by `pgrep copy`, start of the process included; no daemon runs. */
export const pgrepCopy: Contender = {
  name: 'pgrep',
  follows: false,
  bulkShare: 1,
  async attach(place: Place): Promise<Attached> {
    const cli = await addTable(place);
    return {
      async copy() {
        const copyMs = await timed(() => cli.command('copy', 'bench.item', '--restart', '--json'));
        return { copyMs };
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
