import type { Attached, Contender, Place } from '../trial.ts';
import { execute, withClient } from '../sql.ts';
import { until } from '../until.ts';
import { targetUrl } from './postgres-target.ts';

/** Logical replication as it comes with the server: a publication, a subscription with default options, no initial copy. */
export const native: Contender = { name: 'native', follows: true, bulkShare: 1, attach };

async function attach(place: Place): Promise<Attached> {
  const slot = `bench_${place.tag}`;
  const url = targetUrl(place);
  await execute(place.sourceUrl, 'create publication bench for table bench.item');
  await execute(
    url,
    `create subscription ${slot} connection '${place.sourceUrl}' publication bench with (copy_data = false)`,
  );
  const attached: Attached = { [Symbol.asyncDispose]: () => execute(url, `drop subscription ${slot}`) };
  try {
    await until(() => isStreaming(place.sourceUrl, slot), {
      what: 'subscription streams',
      deadlineMs: 30_000,
      pauseMs: 20,
    });
  } catch (error) {
    await attached[Symbol.asyncDispose]();
    throw error;
  }
  return attached;
}

function isStreaming(sourceUrl: string, slot: string): Promise<boolean> {
  return withClient(sourceUrl, async (client) => {
    const text = `select 1 from pg_stat_replication where application_name = $1 and state = 'streaming'`;
    return (await client.query(text, [slot])).rowCount === 1;
  });
}
