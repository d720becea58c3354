import pg from 'pg';

/** Rows that the workload keeps to itself, so that its updates and deletes find something: those of pk1 up to this. */
export const initialRows = 20_000;

/** What the workload has committed so far. */
export interface Written {
  inserted: number;
  updated: number;
  deleted: number;
  moved: number;
}

/** An application that writes to local.loc_test on several connections until it is stopped. */
export class Workload implements AsyncDisposable {
  readonly written: Written = { inserted: 0, updated: 0, deleted: 0, moved: 0 };
  private stopping = false;
  private readonly writers: Promise<void>[];

  constructor(url: string, connections: number) {
    this.writers = Array.from({ length: connections }, (_, writer) => this.write(url, writer));
  }

  /** Stops after each connection's current transaction; rejects with the first writer's error. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.writers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping = true;
    await Promise.allSettled(this.writers);
  }

  private async write(url: string, writer: number): Promise<void> {
    const client = new pg.Client({ connectionString: url, application_name: 'demo-application' });
    await client.connect();
    try {
      while (!this.stopping) {
        await this.transaction(client, writer);
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    } finally {
      await client.end();
    }
  }

  /** Ten new rows, some changed, one moved to another key, one deleted. Writers keep to keys of their own. */
  private async transaction(client: pg.Client, writer: number): Promise<void> {
    const { written } = this;
    const counts = async (sql: string): Promise<number> => (await client.query(sql)).rowCount ?? 0;
    const some = Math.floor(Math.random() * initialRows);
    await client.query('begin');
    const inserted = await counts(
      `insert into local.loc_test (pk1, pk2, info)
       select ${initialRows} + n, 'w${writer}-' || gen_random_uuid(), 'fresh ' || n from generate_series(1, 10) n`,
    );
    const updated = await counts(
      `update local.loc_test set info = 'changed by ${writer}', crt_time = clock_timestamp()
       where pk1 between ${some} and ${some} + 10 and pk2 = 'w${writer}'`,
    );
    const moved = await counts(
      `update local.loc_test set pk2 = 'w${writer}-moved-' || gen_random_uuid() where pk1 = ${some} + 11 and pk2 = 'w${writer}'`,
    );
    const deleted = await counts(`delete from local.loc_test where pk1 = ${some} + 12 and pk2 = 'w${writer}'`);
    await client.query('commit');
    written.inserted += inserted;
    written.updated += updated;
    written.moved += moved;
    written.deleted += deleted;
  }
}
