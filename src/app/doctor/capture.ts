import { captureDrift } from '../../capture/repair-capture.ts';
import type { Examination } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Capture triggers, functions and queues, also of partitions. */
export const captureCheck: Check = {
  name: 'capture',
  fine: 'Changes of its tables are captured.',
  run: async ({ nodes }: Examination) => {
    const found: Found[] = [];
    for (const { name, session, routes } of nodes.values()) {
      if (routes.length === 0) continue;
      for (const { table, drift } of await captureDrift(session)) {
        for (const { message, advice, repairable, relation } of drift)
          found.push({
            level: repairable ? 'warning' : 'error',
            node: name,
            table: relation ?? table,
            message,
            advice,
          });
      }
    }
    return found;
  },
};
