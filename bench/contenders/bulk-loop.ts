import { PgrepError } from '../../src/core/error.ts';
import { send, sendJson } from '../elasticsearch-http.ts';
import type { Attached, Contender, Place } from '../trial.ts';
import { timed } from '../until.ts';
import { readBack, sendAll } from './bulk-requests.ts';
import { pgrepCopy } from './pgrep.ts';

/** Bytes of one bulk request, and requests under way at once: about what a careful program would choose. */
const bulkBytes = 4 * 1024 * 1024;
const inFlight = 2;

/** A JVM that has just started takes 20,000 documents a second, after some hundred thousand it takes 90,000. */
const warmUps = 3;

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
      const { bodies } = await corpus;
      const url = indexUrl(place);
      await recreate(url, await corpus);
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
  const corpus = { mappings: Object.values(answer)[0]?.mappings, bodies: await readBack(url, bulkBytes) };
  for (let time = 0; time < warmUps; time += 1) {
    await recreate(url, corpus);
    await sendAll(url, corpus.bodies, inFlight);
  }
  return corpus;
}

async function recreate(url: string, { mappings }: Corpus): Promise<void> {
  await send({ method: 'DELETE', url });
  await sendJson({ method: 'PUT', url, body: JSON.stringify({ mappings }) });
}

function indexUrl(place: Place): string {
  if (place.target.kind === 'elasticsearch') return `${place.target.url}/${place.target.index}`;
  throw new PgrepError('bug', 'the bulk loop needs an index');
}
