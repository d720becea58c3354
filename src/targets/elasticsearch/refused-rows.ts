import type { Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { PgrepError } from '../../core/error.ts';
import type { Batch, ChangedTable, RefusedRow } from '../target.ts';
import type { RefusedItem } from './bulk-sender.ts';
import { keysOfIdsCopy } from './copy-statement.ts';
import type { PreparedRoute } from './index-setup.ts';

// One query looks through the whole batch for this many ids.
const idsAtOnce = 2000;

/**
 * Records refused documents under the keys of their rows: asks the batch's snapshot which keys have these ids.
 * Returns how many records it made.
 */
export async function holdRefused(
  { batch, table, prepared, build }: { batch: Batch; table: ChangedTable; prepared: PreparedRoute; build: string },
  refused: readonly RefusedItem[],
): Promise<number> {
  let held = 0;
  for (let from = 0; from < refused.length; from += idsAtOnce) {
    const part = new Map(refused.slice(from, from + idsAtOnce).map((item) => [item.id, item]));
    const copy = batch.copyOut(keysOfIdsCopy(prepared.shape, table, [...part.keys()]));
    const found = await readFound(copy);
    if (new Set(found.map(([id]) => id)).size < part.size) {
      throw new PgrepError(
        'bug',
        `A document that ${prepared.destination.index} refused belongs to no key of the batch.`,
      );
    }
    const rows = found.flatMap(([id, key, document]) => {
      const item = part.get(id);
      if (item === undefined) return [];
      const statement = requestText(prepared.destination.index, { id, document, build });
      return [{ route: table.route, key, statement, reason: item.type, message: item.message } satisfies RefusedRow];
    });
    await batch.hold(rows);
    held += rows.length;
  }
  return held;
}

type Found = readonly [id: string, key: readonly string[], document: string | null];

async function readFound(copy: Readable): Promise<Found[]> {
  const lines = (await readText(copy)).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Found);
}

/** The request that was refused, as one can type it into Kibana's console. */
function requestText(
  index: string,
  { id, document, build }: { id: string; document: string | null; build: string },
): string {
  const path = `/${index}/_doc/${encodeURIComponent(id)}?version=${build}&version_type=external`;
  return document === null ? `DELETE ${path}` : `PUT ${path}\n${document}`;
}
