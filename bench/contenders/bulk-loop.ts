import { send, sendJson } from '../elasticsearch-http.ts';
import type { Attached, Contender, ElasticsearchPlace, Figures, Place } from '../trial.ts';
import { timed } from '../until.ts';
import { PgrepError } from '../../src/core/error.ts';
import { pgrepCopy } from './pgrep.ts';

/** Bytes of one bulk request, and requests under way at once: the quickest of those tried here (see docs/benchmark.md). */
const bulkBytes = 4 * 1024 * 1024;
const inFlight = 2;

interface Corpus {
  readonly mappings: unknown;
  readonly bodies: readonly Buffer[];
}

/**
 * What Elasticsearch takes at best: requests that lie ready in memory, sent by the least of a loop, into an index of the same
 * mapping. The documents are those that pgrep made of the same rows, read back once before anything is measured.
 */
export function bulkLoop(): Contender {
  let corpus: Promise<Corpus> | undefined;
  return {
    name: 'bulk loop',
    follows: false,
    bulkShare: 1,
    async attach(place: Place): Promise<Attached> {
      const target = elasticsearchOf(place);
      corpus ??= collect(place, target);
      const { mappings, bodies } = await corpus;
      await send({ method: 'DELETE', url: `${target.url}/${target.index}` });
      await sendJson({ method: 'PUT', url: `${target.url}/${target.index}`, body: JSON.stringify({ mappings }) });
      return { copy: () => sendAll(target, bodies), [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
}

async function collect(place: Place, target: ElasticsearchPlace): Promise<Corpus> {
  await using filled = await pgrepCopy.attach(place);
  await filled.copy?.();
  const url = `${target.url}/${target.index}`;
  await sendJson({ method: 'POST', url: `${url}/_refresh` });
  const mapping = await sendJson<Record<string, { mappings: unknown }>>({ method: 'GET', url: `${url}/_mapping` });
  return { mappings: mapping[target.index]?.mappings, bodies: await readBack(url) };
}

interface Page {
  readonly hits: {
    readonly hits: readonly { readonly _id: string; readonly _source: unknown; readonly sort: readonly unknown[] }[];
  };
}

/** All documents as bodies of bulk requests. */
async function readBack(url: string): Promise<Buffer[]> {
  const bodies: Buffer[] = [];
  let lines: string[] = [];
  let bytes = 0;
  let after: readonly unknown[] | undefined;
  for (;;) {
    const search = { size: 10_000, sort: [{ id: 'asc' }], ...(after === undefined ? {} : { search_after: after }) };
    const page = await sendJson<Page>({ method: 'POST', url: `${url}/_search`, body: JSON.stringify(search) });
    for (const hit of page.hits.hits) {
      const line = `{"index":{"_id":"${hit._id}"}}\n${JSON.stringify(hit._source)}\n`;
      lines.push(line);
      bytes += line.length;
      if (bytes < bulkBytes) continue;
      bodies.push(Buffer.from(lines.join('')));
      lines = [];
      bytes = 0;
    }
    after = page.hits.hits.at(-1)?.sort;
    if (after === undefined) break;
  }
  if (lines.length > 0) bodies.push(Buffer.from(lines.join('')));
  return bodies;
}

async function sendAll(target: ElasticsearchPlace, bodies: readonly Buffer[]): Promise<Figures> {
  const waiting = [...bodies];
  const worker = async (): Promise<void> => {
    for (let body = waiting.shift(); body !== undefined; body = waiting.shift()) {
      const url = `${target.url}/${target.index}/_bulk?filter_path=errors`;
      const { errors } = await sendJson<{ errors: boolean }>({ method: 'POST', url, body });
      if (errors) throw new PgrepError('no', 'a document of the bulk loop was refused');
    }
  };
  const copyMs = await timed(() => Promise.all(Array.from({ length: inFlight }, worker)));
  return { copyMs };
}

function elasticsearchOf(place: Place): ElasticsearchPlace {
  if (place.target.kind === 'elasticsearch') return place.target;
  throw new PgrepError('bug', 'the bulk loop needs an index');
}
