import { createHash } from 'node:crypto';
import pg from 'pg';

/** What a node holds: how many rows, and a checksum over all their values. */
export interface Contents {
  readonly rows: number;
  readonly checksum: string;
}

/** One row as [pk1, pk2, info, crt_time], the time in ISO form. */
type Row = readonly [number, string, string | null, string | null];

/** Reads the whole table. */
export async function postgresContents(url: string, table: string): Promise<Contents> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ pk1: number; pk2: string; info: string | null; crt_time: string | null }>(
      `select pk1, pk2, info, to_json(crt_time) #>> '{}' as crt_time from ${table}`,
    );
    return contents(rows.map((row) => [row.pk1, row.pk2, row.info, row.crt_time]));
  } finally {
    await client.end();
  }
}

interface Page {
  readonly _scroll_id: string;
  readonly hits: { readonly hits: readonly { readonly _source: Readonly<Record<string, unknown>> }[] };
}

/** Reads all documents of the index, by pages of 5,000. */
export async function indexContents(url: string, index: string): Promise<Contents> {
  await request(`${url}/${index}/_refresh`);
  const rows: Row[] = [];
  let page = (await request(`${url}/${index}/_search?scroll=1m`, { size: 5_000, sort: ['_doc'] })) as Page;
  while (page.hits.hits.length > 0) {
    for (const { _source: source } of page.hits.hits) {
      rows.push([Number(source['pk1']), String(source['pk2']), text(source['info']), text(source['crt_time'])]);
    }
    page = (await request(`${url}/_search/scroll`, { scroll: '1m', scroll_id: page._scroll_id })) as Page;
  }
  return contents(rows);
}

async function request(url: string, body?: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, {
    method: 'POST',
    ...(body === undefined ? {} : { headers, body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** Order does not matter: lines are sorted before they are hashed. */
function contents(rows: readonly Row[]): Contents {
  const lines = rows.map(([pk1, pk2, info, time]) => JSON.stringify([pk1, pk2, info, time]));
  const hash = createHash('sha256');
  for (const line of lines.sort()) hash.update(line).update('\n');
  return { rows: rows.length, checksum: hash.digest('hex').slice(0, 16) };
}
