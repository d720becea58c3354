import type pg from 'pg';
import type { Replica } from './replica.ts';
import { checksum } from './source-table.ts';
import { connect, withClient } from './sql.ts';

/** `bench.item` in another database, asked by prepared statements over one connection that is reopened when it broke. */
export class PostgresReplica implements Replica {
  readonly #sourceUrl: string;
  readonly #url: string;
  #client: pg.Client | undefined;

  constructor(sourceUrl: string, url: string) {
    this.#sourceUrl = sourceUrl;
    this.#url = url;
  }

  async has(id: number, n?: number): Promise<boolean> {
    const result = await this.#query(
      n === undefined
        ? { name: 'has', text: 'select 1 as found from bench.item where id = $1', values: [id] }
        : { name: 'has_n', text: 'select 1 as found from bench.item where id = $1 and n = $2', values: [id, n] },
    );
    return result.rowCount === 1;
  }

  async count(n?: number): Promise<number> {
    const text = `select count(*)::int as count from bench.item ${n === undefined ? '' : 'where n = $1'}`;
    const result = await this.#query({ text, values: n === undefined ? [] : [n] });
    return Number(result.rows[0]?.count);
  }

  async difference(): Promise<string | null> {
    const source = await withClient(this.#sourceUrl, checksum);
    const target = await withClient(this.#url, checksum);
    return source === target ? null : `source ${source}; target ${target}`;
  }

  async #query(config: pg.QueryConfig): Promise<pg.QueryResult<{ count?: number }>> {
    this.#client ??= await this.#connect();
    return this.#client.query(config);
  }

  async #connect(): Promise<pg.Client> {
    const client = await connect(this.#url);
    client.once('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  async #close(): Promise<void> {
    await this.#client?.end().catch(() => undefined);
    this.#client = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
