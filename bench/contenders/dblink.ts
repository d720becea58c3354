import { readFile } from 'node:fs/promises';
import type { Attached, Contender, Place } from '../trial.ts';
import { execute, withClient } from '../sql.ts';
import { targetUrl } from './postgres-target.ts';

/** The lineage: a row trigger that applies each change at the target, over dblink, inside the user's transaction. */
export const dblink: Contender = {
  name: 'dblink',
  follows: true,
  // It brings about 2,000 rows a second over: the full size would take minutes and tell nothing new.
  bulkShare: 0.1,
  attach,
};

const routines = new URL('./dblink.sql', import.meta.url);

/** Records that `deal_sync_err_rec` takes at once. */
const batch = 1000;

async function attach(place: Place): Promise<Attached> {
  const sql = await readFile(routines, 'utf8');
  await execute(place.sourceUrl, sql, `insert into bench.dst_server (url) values ('${targetUrl(place)}')`);
  return { recover: () => recover(place.sourceUrl), [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Calls `deal_sync_err_rec` until no record remains. */
async function recover(sourceUrl: string): Promise<void> {
  await withClient(sourceUrl, async (client) => {
    let left = true;
    while (left) {
      const { rows } = await client.query<{ dealt: number }>('select bench.deal_sync_err_rec($1) as dealt', [batch]);
      left = (rows[0]?.dealt ?? 0) > 0;
    }
  });
}
