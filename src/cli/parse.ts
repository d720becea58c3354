import yargs from 'yargs';
import type { Argv, Options } from 'yargs';
import { nearest } from '../config/nearest.ts';
import { PgrepError } from '../core/error.ts';
import { logLevels } from '../observe/logger.ts';
import type { Command, OptionSpec, OptionSpecs } from './command.ts';
import { Input } from './input.ts';
import { looksLikeProcps, procpsError } from './procps.ts';

/** What the command line asks for. */
export type Request =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'command'; readonly command: Command; readonly input: Input };

/** Options that stand with every command. */
export const globalOptions: OptionSpecs = {
  config: { kind: 'text', value: 'PATH', describe: 'Configuration file (default: PGREP_CONFIG, else ./pgrep.json)' },
  json: { kind: 'flag', describe: 'Print the result as JSON' },
  'dry-run': { kind: 'flag', describe: 'Change nothing; print the SQL that would run' },
  'log-level': { kind: 'text', value: 'LEVEL', describe: `What is logged on standard error: ${logLevels.join(', ')}` },
};

const exactly = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'greedy-arrays': false,
  'parse-positional-numbers': false,
};

/** Reads the command line; `width` is that of the help. Throws `PgrepError('usage')` for what it does not understand. */
export async function parseArguments(
  args: readonly string[],
  { commands, version, width }: { commands: readonly Command[]; version: string; width: number },
): Promise<Request> {
  if (looksLikeProcps(args)) throw procpsError();
  let found: { command: Command | null; argv: Readonly<Record<string, unknown>> } | undefined;
  const parser = define(yargs([]), commands, (command, argv) => {
    found = { command, argv };
  });
  let output = '';
  await parser
    .version(version)
    .wrap(width)
    .parseAsync(args, {}, (_error, _argv, text) => {
      output = text;
    });
  if (output !== '') return { kind: 'text', text: `${output}\n` };
  const words = wordsOf(found?.argv);
  const command = found?.command ?? null;
  if (command === null) throw noCommand(words, commands);
  const rest = words.slice(command.path.length);
  checkOptions(found?.argv ?? {}, command);
  checkArguments(rest, command);
  return { kind: 'command', command, input: new Input(found?.argv ?? {}, rest) };
}

/** Groups of commands, for the help. */
const groupDescriptions: Readonly<Record<string, string>> = {
  errors: 'The rows that targets refused',
  conflicts: 'Concurrent changes of one row at several nodes',
  config: 'The configuration file',
};

type Chosen = (command: Command | null, argv: Readonly<Record<string, unknown>>) => void;

/** Tells yargs of the commands; those of two words (`errors list`) become sub-commands of a group. */
function define(parser: Argv, commands: readonly Command[], chosen: Chosen): Argv {
  // The published types lack this method of yargs 18.
  (parser as Argv & { usageConfiguration(settings: object): unknown }).usageConfiguration({ 'hide-types': true });
  const described = parser
    .scriptName('pgrep')
    .usage('pgrep COMMAND [OPTION…]\n\nReplicates tables between PostgreSQL databases and to Elasticsearch.')
    .parserConfiguration(exactly)
    .options(yargsOptions(globalOptions))
    .help()
    .alias('help', 'h')
    .group([...Object.keys(globalOptions), 'help', 'version'], 'Everywhere:')
    .epilogue(
      'Exit status: 0 done, 1 bug, 2 usage or configuration, 3 the answer is "no", 4 a node cannot be reached,\n5 the schema is of another version.',
    )
    .command('$0', false, {}, (argv) => {
      chosen(null, argv);
    });
  const groups = new Set<string>();
  for (const command of commands) {
    const [group = '', word] = command.path;
    if (word === undefined) defineOne(described, group, command, chosen);
    else if (!groups.has(group)) {
      groups.add(group);
      defineGroup(
        described,
        commands.filter(({ path }) => path.length > 1 && path[0] === group),
        chosen,
      );
    }
  }
  return described;
}

function defineGroup(parser: Argv, members: readonly Command[], chosen: Chosen): void {
  const group = members[0]?.path[0] ?? '';
  const words = members.map(({ path }) => path[1] ?? '');
  parser.command(
    group,
    `${groupDescriptions[group] ?? ''}: ${words.join(', ')}`,
    (inner) => {
      inner.usage(`pgrep ${group} ${words.join('|')}`);
      members.forEach((member, index) => {
        defineOne(inner, words[index] ?? '', member, chosen);
      });
      return inner;
    },
    (argv) => {
      chosen(null, argv);
    },
  );
}

function defineOne(parser: Argv, word: string, command: Command, chosen: Chosen): void {
  parser.command(
    word,
    command.describe,
    (inner) => {
      inner.usage(`pgrep ${command.path.join(' ')} ${command.usage}\n\n${command.describe}.`);
      for (const example of command.examples) inner.example(example, '');
      // A group of its own puts the command's options before those that stand everywhere.
      return inner.options(yargsOptions(command.options)).group(Object.keys(command.options), 'Options:');
    },
    (argv) => {
      chosen(command, argv);
    },
  );
}

function yargsOptions(specs: OptionSpecs): Record<string, Options> {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, yargsOption(spec)]));
}

function yargsOption(spec: OptionSpec): Options {
  const describe = spec.value === undefined ? spec.describe : `${spec.value}: ${spec.describe}`;
  // A list is read as a text: given twice it becomes an array, and a missing value an empty text that is refused.
  return spec.kind === 'flag' ? { boolean: true, describe } : { string: true, describe };
}

function wordsOf(argv: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  return Array.isArray(argv?._) ? argv._.map(String) : [];
}

function noCommand(words: readonly string[], commands: readonly Command[]): PgrepError {
  const [first, second] = words;
  const ofGroup = commands.filter(({ path }) => path.length > 1 && path[0] === first);
  if (first === undefined) return usage('No command is given', 'All commands: pgrep --help');
  if (ofGroup.length > 0) {
    const known = ofGroup.map(({ path }) => path[1] ?? '');
    const choice = `Write one of: ${known.map((word) => `pgrep ${first} ${word}`).join(', ')}.`;
    if (second === undefined) return usage(`${first} needs to know what to do`, choice);
    const meant = nearest(second, known);
    return usage(
      `${first} has no command ${second}`,
      meant === null ? choice : `Did you mean: pgrep ${first} ${meant}?`,
    );
  }
  const meant = nearest(first, new Set(commands.map(({ path }) => path[0] ?? '')));
  return usage(
    `There is no command ${first}`,
    meant === null
      ? 'All commands: pgrep --help. (The pgrep that finds processes is another program, /usr/bin/pgrep.)'
      : `Did you mean: pgrep ${meant}?`,
  );
}

function checkOptions(argv: Readonly<Record<string, unknown>>, command: Command): void {
  const known = [...Object.keys(globalOptions), ...Object.keys(command.options), 'help', 'version'];
  const accepted = new Set([...known, 'h', '_', '$0']);
  for (const name of Object.keys(argv)) {
    if (accepted.has(name)) continue;
    const typed = name.length === 1 ? `-${name}` : `--${name}`;
    const path = command.path.join(' ');
    const meant = nearest(name, known);
    throw usage(
      `${path} has no option ${typed}`,
      meant === null || name.length === 1 ? `All its options: pgrep ${path} --help` : `Did you mean --${meant}?`,
    );
  }
}

function checkArguments(rest: readonly string[], command: Command): void {
  const path = command.path.join(' ');
  const form = `Write pgrep ${path}${command.usage === '' ? '' : ` ${command.usage}`}.`;
  const extra = rest[command.arguments.most];
  if (extra !== undefined) throw usage(`${path} does not know what ${JSON.stringify(extra)} is for`, form);
  if (rest.length < command.arguments.least) {
    throw usage(`${path} needs ${command.usage.split(' ')[0] ?? 'an argument'}`, form);
  }
}

function usage(what: string, hint: string): PgrepError {
  return new PgrepError('usage', `${what}.`, { hint });
}
