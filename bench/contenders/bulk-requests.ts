import { PgrepError } from '../../src/core/error.ts';
import { sendJson } from '../elasticsearch-http.ts';

interface Page {
  readonly hits: {
    readonly hits: readonly { readonly _id: string; readonly _source: unknown; readonly sort: readonly unknown[] }[];
  };
}

/** All documents of an index, in the order of their field `id`, as bodies of bulk requests of about `bulkBytes` each. */
export async function readBack(indexUrl: string, bulkBytes: number): Promise<Buffer[]> {
  const bodies: Buffer[] = [];
  let lines: string[] = [];
  let bytes = 0;
  const close = (): void => {
    if (lines.length > 0) bodies.push(Buffer.from(lines.join('')));
    lines = [];
    bytes = 0;
  };
  for await (const { _id, _source } of allHits(indexUrl)) {
    const line = `{"index":{"_id":"${_id}"}}\n${JSON.stringify(_source)}\n`;
    lines.push(line);
    bytes += line.length;
    if (bytes >= bulkBytes) close();
  }
  close();
  return bodies;
}

async function* allHits(indexUrl: string): AsyncGenerator<Page['hits']['hits'][number]> {
  let after: readonly unknown[] | undefined;
  do {
    const search = { size: 10_000, sort: [{ id: 'asc' }], ...(after === undefined ? {} : { search_after: after }) };
    const page = await sendJson<Page>({ method: 'POST', url: `${indexUrl}/_search`, body: JSON.stringify(search) });
    yield* page.hits.hits;
    after = page.hits.hits.at(-1)?.sort;
  } while (after !== undefined);
}

/** Sends every body once, `inFlight` at a time; throws `no` when a document is refused. */
export async function sendAll(indexUrl: string, bodies: readonly Buffer[], inFlight: number): Promise<void> {
  const waiting = [...bodies];
  const worker = async (): Promise<void> => {
    for (let body = waiting.shift(); body !== undefined; body = waiting.shift()) {
      const url = `${indexUrl}/_bulk?filter_path=errors`;
      const { errors } = await sendJson<{ errors: boolean }>({ method: 'POST', url, body });
      if (errors) throw new PgrepError('no', 'a document of the bulk loop was refused');
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
