import { PgrepError } from '../../core/error.ts';
import { showTable } from '../../core/route.ts';
import type { App } from '../open.ts';
import { holdsRows } from '../plan-target.ts';
import type { Member } from './member.ts';
import type { TwoWayTableOptions } from './options.ts';

/** Refuses a new member that holds rows of its own, unless told what they are. Throws `route`. */
export async function refuseFilledMember(
  app: App,
  { home, other, options }: { home: Member; other: Member; options: TwoWayTableOptions },
): Promise<void> {
  const isFed = home.routes.some((route) => route.target === other.node);
  if (isFed || !options.copy || options.merge === true) return;
  const { table } = other.description;
  if (!(await holdsRows(app, other.node, table))) return;
  throw new PgrepError(
    'route',
    `Table ${showTable(table)} of node ${other.node} already holds rows, and so may ${showTable(options.table)} of ${home.node}.`,
    {
      hint: `If they are the same rows, add --no-copy. If both shall have the rows of both, add --merge. If ${home.node} has none, write --from ${other.node}.`,
    },
  );
}
