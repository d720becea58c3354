import { ident } from '../../db/quote.ts';
import { postgresNode } from '../open.ts';
import type { Examination, ExaminedNode } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Whether rows can be applied with session_replication_role = replica, and what follows where they cannot. */
export const replicaRoleCheck: Check = {
  name: 'replica-role',
  fine: 'Rows are applied as the configuration says.',
  run: async ({ app, nodes, fedTables }: Examination) => {
    const found: Found[] = [];
    for (const node of nodes.values()) {
      const isFed = fedTables.some((fed) => fed.node === node);
      if (isFed && postgresNode(app.config, node.name).replicaRole && !node.replica) found.push(await notGranted(node));
    }
    return found;
  },
};

async function notGranted({ name, session }: ExaminedNode): Promise<Found> {
  const { rows } = await session.query('select current_user::text as role');
  const role = String(rows[0]?.['role']);
  const accept = `accept it with "replicaRole": false in nodes.${name}`;
  return {
    level: 'warning',
    node: name,
    table: null,
    message: `Role ${role} may not set session_replication_role at ${name}: foreign keys are checked again for replicated rows (one without its parent waits), and triggers run for them.`,
    advice:
      session.version >= 150000
        ? `As superuser: grant set on parameter session_replication_role to ${ident(role)}; or ${accept}.`
        : `Before PostgreSQL 15 only a superuser may: ${accept}.`,
  };
}
