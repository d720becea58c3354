import { PgrepError } from '../../core/error.ts';
import { Bulk } from './bulk.ts';
import { separatorByte } from './copy-statement.ts';
import type { BulkSender, Destination } from './bulk-sender.ts';
import type { Cluster } from './cluster.ts';

const pageSize = 10_000;

/**
 * Deletes every document whose version is below `build`: after all rows were built with it, those have no row.
 * A document that is written meanwhile has a higher version and stays.
 */
export async function sweepOlder(
  {
    cluster,
    sender,
    destination,
    build,
  }: { cluster: Cluster; sender: BulkSender; destination: Destination; build: string },
  signal: AbortSignal,
): Promise<number> {
  const index = encodeURIComponent(destination.index);
  // Without it, documents that were just written are not found in their newest version, and those just added not at all.
  await cluster.json({ method: 'POST', path: `/${index}/_refresh` }, signal);
  const olderIds = idsBelow({ cluster, index, build: Number(build) }, signal);
  const { items, refused } = await sender.sendAll(destination, deletes(olderIds, build), signal);
  const first = refused[0];
  if (first === undefined) return items;
  throw new PgrepError(
    'target',
    `Index ${destination.index} at node ${cluster.node} refuses to delete documents: ${first.message}.`,
  );
}

interface Page {
  readonly _scroll_id: string;
  readonly hits: { readonly hits: readonly { readonly _id: string; readonly _version: number }[] };
}

/** Pages of ids. A scroll, because versions cannot be searched for and `_id` cannot be sorted by. */
async function* idsBelow(
  { cluster, index, build }: { cluster: Cluster; index: string; build: number },
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  const search = { size: pageSize, version: true, _source: false, sort: ['_doc'] };
  let page = (await cluster.json(
    { method: 'POST', path: `/${index}/_search`, query: { scroll: '5m' }, json: search },
    signal,
  )) as unknown as Page;
  try {
    while (page.hits.hits.length > 0) {
      const older = page.hits.hits.filter((hit) => hit._version < build).map((hit) => hit._id);
      if (older.length > 0) yield older;
      const next = { scroll: '5m', scroll_id: page._scroll_id };
      page = (await cluster.json({ method: 'POST', path: '/_search/scroll', json: next }, signal)) as unknown as Page;
    }
  } finally {
    await cluster
      .request({ method: 'DELETE', path: '/_search/scroll', json: { scroll_id: page._scroll_id } }, signal)
      .catch(() => undefined);
  }
}

async function* deletes(pages: AsyncIterable<readonly string[]>, build: string): AsyncGenerator<Bulk> {
  const separator = String.fromCharCode(separatorByte);
  const tail = `,"version":${build},"version_type":"external"}}${separator}\n`;
  for await (const ids of pages) {
    yield Bulk.ofLines(Buffer.from(ids.map((id) => `{"delete":{"_id":${JSON.stringify(id)}${tail}`).join('')));
  }
}
