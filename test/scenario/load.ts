import pg from 'pg';

/** Writers that insert into `public.t` and update it, each row its own transaction, until they are stopped; they survive outages. */
export class Load implements AsyncDisposable {
  /** Transactions whose commit was acknowledged. */
  committed = 0;
  private stopped = false;
  private readonly writers: readonly Promise<void>[];

  constructor(url: string, writers = 2) {
    this.writers = Array.from({ length: writers }, (_, writer) => this.write(url, writer));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.writers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private async write(url: string, writer: number): Promise<void> {
    let id = writer * 1_000_000;
    while (!this.stopped) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.stopped) {
          id += 1;
          await client.query('insert into public.t values ($1, 0)', [id]);
          if (id % 3 === 0) await client.query('update public.t set n = n + 1 where id = $1', [id - 1]);
          if (id % 5 === 0) await client.query('delete from public.t where id = $1', [id - 2]);
          await client.query('begin; update public.t set n = -1 where id = 1; rollback');
          this.committed += 1;
          await pause(5);
        }
      } catch {
        // The server is down or the row is there already (committed without an answer): go on with the next.
        await pause(100);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }
}

/** Keeps the load light: the machine's cores belong to other tests too. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
