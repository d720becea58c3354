import { addTable } from '../../app/add-table.ts';
import type { AddTableOptions, AddTableResult } from '../../app/results.ts';
import { PgrepError } from '../../core/error.ts';
import { showTable } from '../../core/route.ts';
import type { ConflictPolicy, Route } from '../../core/route.ts';
import type { Command, Context } from '../command.ts';
import { given } from '../input.ts';
import type { Input } from '../input.ts';
import { parseMap, parseTableName } from '../names.ts';
import { formatNumber } from '../print/human.ts';
import { formatSql, printResult, printWarnings } from '../print/result.ts';
import { formatTable } from '../print/table.ts';
import { withProgress } from '../progress.ts';

const policies = ['last-write-wins', 'hold', 'function'] as const satisfies readonly ConflictPolicy[];

/** `pgrep add-table`: replicates a table from now on, and copies the rows it has. */
export const addTableCommand: Command = {
  path: ['add-table'],
  usage: 'TABLE --to NODE[,NODE…]',
  describe: 'Replicate a table: install its triggers and copy its rows',
  arguments: { least: 1, most: 1 },
  options: {
    from: { kind: 'text', value: 'NODE', describe: 'Source node (default: "home" of the configuration)' },
    to: { kind: 'list', value: 'NODE,…', describe: 'Target nodes' },
    as: { kind: 'text', value: 'TABLE', describe: 'Name at a Postgres target (default: the same)' },
    index: { kind: 'text', value: 'INDEX', describe: 'Index at an Elasticsearch target (default: schema_table)' },
    map: { kind: 'list', value: 'A=B,…', describe: 'Columns that have another name at the target: source=target' },
    columns: { kind: 'list', value: 'COLUMN,…', describe: 'Replicate these columns only (default: all)' },
    where: { kind: 'text', value: 'SQL', describe: 'Replicate the rows for which this condition holds (default: all)' },
    key: { kind: 'list', value: 'COLUMN,…', describe: 'Columns that identify a row (default: the primary key)' },
    'no-copy': { kind: 'flag', describe: 'Copy nothing: the target already holds the same rows' },
    replace: { kind: 'flag', describe: 'Overwrite rows that the target already holds, delete those the source lacks' },
    'two-way': { kind: 'flag', describe: 'Write the table at all these nodes: each gets the changes of each other' },
    policy: { kind: 'text', value: 'POLICY', describe: `Concurrent changes of a row: ${policies.join(', ')}` },
    'policy-function': { kind: 'text', value: 'FUNCTION', describe: 'SQL function that makes one row of two' },
    merge: { kind: 'flag', describe: 'Two-way nodes hold different rows already: all shall have all of them' },
    forward: { kind: 'flag', describe: 'The source passes changes on between the others (star, chain)' },
    sequences: {
      kind: 'text',
      value: 'interleave',
      describe: 'Give the sequences of each two-way node numbers of its own',
    },
  },
  examples: [
    'pgrep add-table local.loc_test --to remote,es',
    'pgrep add-table local.loc_test --to remote --as remote.rmt_test --map info=note --where "pk1 > 0"',
    'pgrep add-table local.loc_test --to remote --as remote.rmt_test --two-way',
  ],
  run: async (input, context) => {
    const options = readOptions(input, context);
    const result = await withProgress(
      context.console,
      async (progress) => await context.withApp(async (app) => await addTable(app, options, progress, context.signal)),
    );
    printWarnings(context, result.warnings);
    printResult(context, result, context.dryRun ? ({ sql }) => formatSql(sql) : formatAdded);
    return 0;
  },
};

function readOptions(input: Input, context: Context): AddTableOptions {
  const to = input.names('to');
  if (to === undefined) {
    throw new PgrepError('usage', 'add-table needs --to: the nodes that shall have the table.', {
      hint: `Write pgrep add-table ${input.arguments[0] ?? 'TABLE'} --to NODE, with a node of ${context.configPath}.`,
    });
  }
  const as = input.text('as');
  const map = input.texts('map');
  const name = input.text('policy-function');
  return {
    table: input.table(),
    to,
    ...given('from', input.text('from')),
    ...given('as', as === undefined ? undefined : parseTableName(as)),
    ...given('map', map === undefined ? undefined : parseMap(map)),
    ...given('columns', input.names('columns')),
    ...given('where', input.text('where')),
    ...given('key', input.names('key')),
    ...given('index', input.text('index')),
    copy: !input.flag('no-copy'),
    replace: input.flag('replace'),
    ...given('twoWay', input.flag('two-way') || undefined),
    ...given('policy', input.choice('policy', policies)),
    ...given('policyFunction', name === undefined ? undefined : parseTableName(name)),
    merge: input.flag('merge'),
    forward: input.flag('forward'),
    ...given('sequences', input.choice('sequences', ['interleave'] as const)),
    dryRun: context.dryRun,
  };
}

function formatAdded({ routes, initialised, sequences }: AddTableResult): string {
  const created = initialised.map((node) => `Created the schema "pgrep" at ${node}.\n`).join('');
  const table = formatTable(
    routes,
    [
      { title: 'TABLE', text: ({ route }) => showTable(route.sourceTable) },
      { title: 'FROM', text: ({ route }) => route.source },
      { title: 'TO', text: ({ route }) => route.target },
      { title: 'AS', text: ({ route }) => showTargetTable(route) },
      { title: 'ROUTE', text: ({ change }) => change },
      { title: 'ROWS COPIED', text: ({ copiedRows }) => formatNumber(copiedRows), align: 'right' },
    ],
    null,
  );
  const numbers = sequences
    .filter(({ change }) => change === 'set')
    .map(
      ({ node, table: name, column, next, increment }) =>
        `${node}: ${name}.${column} goes on at ${next} in steps of ${increment}.\n`,
    );
  return [created, table, ...numbers].join('');
}

/** `schema.table`, or the index: Elasticsearch has no schemas. */
export function showTargetTable({ targetTable }: Route): string {
  return targetTable.schema === '' ? targetTable.name : showTable(targetTable);
}
