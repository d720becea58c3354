import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/cli/command.ts';
import { parseArguments } from '../../src/cli/parse.ts';
import type { Request } from '../../src/cli/parse.ts';
import { PgrepError } from '../../src/core/error.ts';

function command(words: string, settings: Partial<Command> = {}): Command {
  return {
    path: words.split(' '),
    usage: 'TABLE --to NODE',
    describe: `Do ${words}`,
    arguments: { least: 0, most: 0 },
    options: {},
    examples: [],
    run: () => Promise.resolve(0),
    ...settings,
  };
}

const commands = [
  command('add-table', {
    arguments: { least: 1, most: 1 },
    options: {
      to: { kind: 'list', value: 'NODE', describe: 'Targets' },
      where: { kind: 'text', value: 'SQL', describe: 'Condition' },
      limit: { kind: 'number', value: 'N', describe: 'At most' },
      'no-copy': { kind: 'flag', describe: 'Copy nothing' },
    },
  }),
  command('status'),
  command('errors list'),
  command('errors show', { arguments: { least: 1, most: 1 } }),
];

async function parse(line: string): Promise<Request> {
  return await parseArguments(line === '' ? [] : line.split(' '), { commands, version: '1.2.3', width: 80 });
}

async function inputOf(line: string): Promise<Extract<Request, { kind: 'command' }>['input']> {
  const request = await parse(line);
  if (request.kind !== 'command') throw new Error('no command was understood');
  return request.input;
}

async function refusal(
  line: string,
  then: (input: Awaited<ReturnType<typeof inputOf>>) => unknown = () => 0,
): Promise<string> {
  try {
    then(await inputOf(line));
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'usage') return `${error.message} | ${error.hint ?? ''}`;
    throw error;
  }
  return 'understood';
}

describe('the command line', () => {
  test('gives the command with its arguments and options, before and after it', async () => {
    const request = await parse('--json add-table s.t --to a,b --to c --where=x=-1 --limit 5 --no-copy');
    if (request.kind !== 'command') throw new Error('no command was understood');
    const { input } = request;
    expect(request.command.path).toEqual(['add-table']);
    expect(input.arguments).toEqual(['s.t']);
    expect(input.names('to')).toEqual(['a', 'b', 'c']);
    expect([input.text('where'), input.number('limit', 1)]).toEqual(['x=-1', 5]);
    expect([input.flag('json'), input.flag('no-copy'), input.flag('dry-run')]).toEqual([true, true, false]);
  });

  test('keeps digits as text: a table may be called 1e3, an id may be longer than a number', async () => {
    expect((await inputOf('add-table 1e3 --to a')).table()).toEqual({ schema: 'public', name: '1e3' });
    expect((await inputOf('errors show 9223372036854775807')).arguments).toEqual(['9223372036854775807']);
  });

  test('does not take an argument that follows a list for part of it', async () => {
    expect((await inputOf('add-table --to a s.t')).arguments).toEqual(['s.t']);
  });

  test.each([
    ['', 'No command is given. | All commands: pgrep --help'],
    ['stauts', 'There is no command stauts. | Did you mean: pgrep status?'],
    [
      'nginx',
      'There is no command nginx. | All commands: pgrep --help. (The pgrep that finds processes is another program, /usr/bin/pgrep.)',
    ],
    ['errors', 'errors needs to know what to do. | Write one of: pgrep errors list, pgrep errors show.'],
    ['errors lits', 'errors has no command lits. | Did you mean: pgrep errors list?'],
    ['status --jsno', 'status has no option --jsno. | Did you mean --json?'],
    ['status --verbose', 'status has no option --verbose. | All its options: pgrep status --help'],
    ['status -x', 'status has no option -x. | All its options: pgrep status --help'],
    ['status now', 'status does not know what "now" is for. | Write pgrep status TABLE --to NODE.'],
    ['add-table', 'add-table needs TABLE. | Write pgrep add-table TABLE --to NODE.'],
    ['add-table s.t --nocopy', 'add-table has no option --nocopy. | Did you mean --no-copy?'],
  ])('answers %j with what to type', async (line, message) => {
    expect(await refusal(line)).toBe(message);
  });

  test.each([
    ['add-table t --limit many', '--limit is "many". | Write a whole number of at least 1.'],
    ['add-table t --limit 0', '--limit is "0". | Write a whole number of at least 1.'],
    ['add-table t --limit -5', '--limit is "-5". | Write a whole number of at least 1.'],
    ['add-table t --limit 1 --limit 2', '--limit is given 2 times. | Give it once.'],
    ['add-table t --limit', '--limit needs a value. | Write --limit=VALUE.'],
  ])('refuses the number of %j', async (line, message) => {
    expect(await refusal(line, (input) => input.number('limit', 1))).toBe(message);
  });

  test.each(['--to', '--to=', '--to a --to'])('refuses a list without a value: %s', async (typed) => {
    expect(await refusal(`add-table t ${typed}`, (input) => input.names('to'))).toBe(
      '--to needs a value. | Write --to=VALUE.',
    );
  });

  test.each(['-f nginx', '-fl nginx', '-x -u postgres sshd', '-a', '-V', '--full nginx', '--euid=0', '-P 1'])(
    'called as the pgrep that finds processes (%s), says which program this is',
    async (line) => {
      expect(await refusal(line)).toBe(
        'This pgrep replicates tables between databases; it is not the one that looks for processes. | ' +
          'To find processes call /usr/bin/pgrep. This one is also installed as pg-rep; its commands: pg-rep --help.',
      );
    },
  );

  test.each(['--help', '-h', 'add-table --help', 'errors --help'])('%s prints help', async (line) => {
    const request = await parse(line);
    expect(request.kind === 'text' ? request.text : '').toMatch(/^pgrep [^]*--config/);
  });

  test('--version prints the version alone', async () => {
    expect(await parse('--version')).toEqual({ kind: 'text', text: '1.2.3\n' });
  });
});
