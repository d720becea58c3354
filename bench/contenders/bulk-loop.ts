import { PgrepError } from '../../src/core/error.ts';
import { send, sendJson } from '../elasticsearch-http.ts';
import type { Attached, Contender, Place } from '../trial.ts';
import { timed } from '../until.ts';
import { readBack, sendAll } from './bulk-requests.ts';
import { pgrepCopy } from './pgrep.ts';

/** Bytes of one bulk request, and requests under way at once: the quickest of those tried (docs/benchmark.md). */
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
      corpus ??= collect(place);
      const { mappings, bodies } = await corpus;
      const url = indexUrl(place);
      await send({ method: 'DELETE', url });
      await sendJson({ method: 'PUT', url, body: JSON.stringify({ mappings }) });
      return {
        copy: async () => ({ copyMs: await timed(() => sendAll(url, bodies, inFlight)) }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    },
  };
}

async function collect(place: Place): Promise<Corpus> {
  await using filled = await pgrepCopy.attach(place);
  await filled.copy?.();
  const url = indexUrl(place);
  await sendJson({ method: 'POST', url: `${url}/_refresh` });
  const answer = await sendJson<Record<string, { mappings: unknown }>>({ method: 'GET', url: `${url}/_mapping` });
  return { mappings: Object.values(answer)[0]?.mappings, bodies: await readBack(url, bulkBytes) };
}

function indexUrl(place: Place): string {
  if (place.target.kind === 'elasticsearch') return `${place.target.url}/${place.target.index}`;
  throw new PgrepError('bug', 'the bulk loop needs an index');
}
