import { sendJson, send } from './elasticsearch-http.ts';
import type { Replica } from './replica.ts';
import { withClient } from './sql.ts';
import type { ElasticsearchPlace } from './trial.ts';

/** A row as the index holds it, the fields that are compared. */
interface Item {
  readonly id: number;
  readonly info: string;
  readonly n: number;
}

interface Hit {
  readonly _id: string;
  readonly _source: Item;
}

/** Most documents that one answer may hold, unless the index says otherwise. */
const pageRows = 10_000;

/** `bench.item` as documents of an index. `has` reads by id, which sees a document before any refresh. */
export class ElasticsearchReplica implements Replica {
  readonly #sourceUrl: string;
  readonly #indexUrl: string;

  constructor(sourceUrl: string, place: ElasticsearchPlace) {
    this.#sourceUrl = sourceUrl;
    this.#indexUrl = `${place.url}/${place.index}`;
  }

  async has(id: number, n?: number): Promise<boolean> {
    if (n === undefined) return (await send({ method: 'HEAD', url: `${this.#indexUrl}/_doc/${id}` })).status === 200;
    const { status, body } = await send({ method: 'GET', url: `${this.#indexUrl}/_source/${id}` });
    return status === 200 && (JSON.parse(body) as Item).n === n;
  }

  async count(n?: number): Promise<number> {
    await this.#refresh();
    const query = n === undefined ? { match_all: {} } : { term: { n } };
    const body = JSON.stringify({ query });
    return (await sendJson<{ count: number }>({ method: 'POST', url: `${this.#indexUrl}/_count`, body })).count;
  }

  /** Compares id, info and n of every row, side by side in the order of the key. */
  async difference(): Promise<string | null> {
    await this.#refresh();
    return withClient(this.#sourceUrl, async (client) => {
      let last = Number.MIN_SAFE_INTEGER;
      for (;;) {
        const text = 'select id::float8, info, n from bench.item where id > $1 order by id limit $2';
        const { rows } = await client.query<Item>(text, [last, pageRows]);
        const hits = await this.#page(last);
        const differing = firstDifference(rows, hits);
        if (differing !== null) return differing;
        const end = rows.at(-1);
        if (end === undefined) return null;
        last = end.id;
      }
    });
  }

  async #page(after: number): Promise<readonly Hit[]> {
    const search = { size: pageRows, sort: [{ id: 'asc' }], query: { range: { id: { gt: after } } } };
    const answer = await sendJson<{ hits: { hits: readonly Hit[] } }>({
      method: 'POST',
      url: `${this.#indexUrl}/_search`,
      body: JSON.stringify(search),
    });
    return answer.hits.hits;
  }

  async #refresh(): Promise<void> {
    await sendJson({ method: 'POST', url: `${this.#indexUrl}/_refresh` });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function firstDifference(rows: readonly Item[], hits: readonly Hit[]): string | null {
  if (rows.length !== hits.length)
    return `a page of ${rows.length} rows at the source is ${hits.length} documents in the index`;
  for (const [at, row] of rows.entries()) {
    const hit = hits[at];
    const equal =
      hit?._id === String(row.id) &&
      hit._source.id === row.id &&
      hit._source.info === row.info &&
      hit._source.n === row.n;
    if (!equal) return `row ${row.id} differs from document ${hit?._id ?? ''}`;
  }
  return null;
}
