import { PgrepError } from '../../core/error.ts';
import { showTable, type Route } from '../../core/route.ts';
import { configuredNode, type App } from '../open.ts';
import type { AddTableOptions } from '../results.ts';

/** Options of a table whose routes are two-way; the source is chosen. */
export type TwoWayTableOptions = AddTableOptions & { readonly from: string };

/** Refuses options that make no sense on two-way routes, each with the reason. */
export function checkOptions(app: App, options: TwoWayTableOptions): void {
  const elasticsearch = options.to.find((node) => configuredNode(app.config, node).kind === 'elasticsearch');
  if (elasticsearch !== undefined) throw notWritten(options, elasticsearch);
  if (options.where !== undefined) {
    throw new PgrepError(
      'route',
      '--where cannot be used on two-way routes: a row that one end filters out would be deleted at the other, or come back from there.',
      { hint: 'Leave --where out; a one-way route to another node may have it.' },
    );
  }
  if (options.replace) {
    throw new PgrepError(
      'usage',
      '--replace deletes rows of the target, which on two-way routes are rows of the table itself.',
      {
        hint: 'Write --merge to keep the rows of all nodes, or empty the tables of the new nodes first.',
      },
    );
  }
  if (options.merge === true && !options.copy) {
    throw new PgrepError('usage', '--merge copies rows both ways, --no-copy copies none.', {
      hint: 'Write --no-copy if the nodes hold the same rows, --merge if they do not.',
    });
  }
}

function notWritten({ table, to }: AddTableOptions, node: string): PgrepError {
  const others = to.filter((each) => each !== node);
  return new PgrepError('usage', `Node ${node} is Elasticsearch: nothing is written there that could come back.`, {
    hint: `Add it by a command of its own: pgrep add-table ${showTable(table)} --to ${node}${others.length === 0 ? '' : `; and here write --to ${others.join(',')}`}.`,
  });
}

/** A route that has a filter cannot become two-way. */
export function filtered(route: Route): PgrepError {
  const table = showTable(route.sourceTable);
  return new PgrepError(
    'route',
    `${table} is replicated from ${route.source} to ${route.target} with a filter (${route.filter ?? ''}), which two-way routes cannot have: a row that leaves it would be deleted at one end only.`,
    {
      hint: `Remove that route first (pgrep remove-table ${table} --from ${route.source} --to ${route.target}; rows stay), then add it two-way with --merge.`,
    },
  );
}

/** Two-way routes keep the columns that they were added with. */
export function columnsFixed(from: string, table: string, to: string): PgrepError {
  return new PgrepError(
    'route',
    `${table} of ${from} is replicated to ${to} with other columns; on a two-way route they cannot be changed while both ends are written.`,
    {
      hint: `Stop writing, remove the routes (pgrep remove-table ${table} --from ${from} --to ${to}; rows stay) and add them anew with --merge.`,
    },
  );
}
