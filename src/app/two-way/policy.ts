import { PgrepError } from '../../core/error.ts';
import { showTable, type Route, type TableName, type TwoWay } from '../../core/route.ts';
import { tableIdent } from '../../db/quote.ts';
import { isMigrated } from '../../db/migrate.ts';
import type { Session } from '../../db/session.ts';
import { isSqlState, sqlState } from '../../db/sqlstate.ts';
import type { AddTableOptions } from '../results.ts';

/** What decides between concurrent changes; a function by its SQL name. */
export type Policy = Pick<TwoWay, 'policy' | 'function'>;

/** The policy that the options ask for, else that of the route that is there, else `last-write-wins`. Throws `usage` where they do not fit together. */
export function choosePolicy(options: AddTableOptions, existing: Route | undefined): Policy {
  const policy = options.policy ?? existing?.twoWay?.policy ?? 'last-write-wins';
  if (policy !== 'function') {
    if (options.policyFunction === undefined) return { policy, function: null };
    throw new PgrepError('usage', `--policy-function means nothing with the policy ${policy}.`, {
      hint: 'Write --policy function as well.',
    });
  }
  const name =
    options.policyFunction === undefined ? (existing?.twoWay?.function ?? null) : tableIdent(options.policyFunction);
  if (name !== null) return { policy, function: name };
  throw new PgrepError(
    'usage',
    'The policy function needs --policy-function: the SQL function that makes one row of two.',
    {
      hint: 'Write --policy function --policy-function schema.name.',
    },
  );
}

/** Checks at one node that the policy's function can be called with two rows of the table and two versions, and gives such a row. Throws `route`. */
export async function checkPolicyFunction(session: Session, policy: Policy, table: TableName): Promise<void> {
  if (policy.function === null) return;
  // Those come with the schema, which a new node gets only after everything was checked.
  if (shippedFunctions.has(policy.function) && !(await isMigrated(session))) return;
  try {
    // Planned, not run. The argument is a column, so that nothing is computed beforehand; coalesce takes equal types only.
    await session.query(
      `explain select coalesce(${policy.function}(t.*::${tableIdent(table)}, 0::bigint, t.*::${tableIdent(table)}, 0::bigint), t.*::${tableIdent(table)}) from ${tableIdent(table)} t`,
    );
  } catch (error) {
    if (!isSqlState(sqlState(error)) && !(error instanceof PgrepError && error.code === 'privilege')) throw error;
    throw unusable(session.node, policy.function, table, error);
  }
}

/** The functions that pgrep brings, as SQL names them. */
const shippedFunctions: ReadonlySet<string> = new Set(['"pgrep"."merge_greatest"', '"pgrep"."merge_union"']);

function unusable(node: string, name: string, table: TableName, cause: unknown): PgrepError {
  const type = tableIdent(table);
  const text = cause instanceof Error ? cause.message : String(cause);
  return new PgrepError(
    'route',
    `The function ${name} cannot decide between two rows of ${showTable(table)} at node ${node}: ${text}.`,
    {
      hint: `Every node needs it: create function ${name}(a ${type}, a_version bigint, b ${type}, b_version bigint) returns ${type} …`,
      cause,
    },
  );
}
