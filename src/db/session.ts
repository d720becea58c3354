import pg from 'pg';
import { to as copyTo, type CopyToStreamQuery } from 'pg-copy-streams';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { PgrepError } from '../core/error.ts';
import { replicatorName } from '../core/replicator-name.ts';
import { after } from '../core/timing.ts';
import { watchPeer } from './peer-watch.ts';
import { pinnedOptions } from './pinned-settings.ts';
import { failureKind, sqlState } from './sqlstate.ts';

/** How to reach a Postgres node. `url` holds the password: never put it into a message. */
export interface PostgresAddress {
  readonly node: string;
  readonly url: string;
}

export type Row = Readonly<Record<string, unknown>>;

/** One connection to a Postgres node for control statements and for reading batches. Values come as text (int8 and xid8 stay exact). */
export interface Session extends AsyncDisposable {
  readonly node: string;
  /** Server version, for example 180004. */
  readonly version: number;
  /** Aborts when the connection is lost or closed; its reason is the error. */
  readonly lost: AbortSignal;
  /** Runs one statement with `$n` parameters, or several without. */
  query(text: string, values?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>;
  /** Runs several statements without parameters in one round trip; one result each. */
  script(text: string): Promise<{ rows: Row[]; rowCount: number }[]>;
  /** `copy (…) to stdout`; `first`: statements to be run before it. */
  copyOut(text: string, first?: string): Readable;
  /** Calls `heard` for each NOTIFY on a channel that was listened to. */
  onNotify(heard: (channel: string) => void): void;
  /** Breaks the connection at once, whatever runs on it. */
  destroy(): void;
}

// Only text comes out of a control session: no driver may turn an int8 into a float or a date into a time zone.
const textOnly = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;

/** Opens a session with pgrep's name and pinned settings. Throws `unreachable`, `privilege` or `config`, naming the node. */
export async function openSession(address: PostgresAddress, applicationName = replicatorName): Promise<Session> {
  const client = new pg.Client({
    connectionString: address.url,
    application_name: applicationName,
    options: pinnedOptions,
    // A server that does not answer at all is down; the link's backoff takes over.
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types: textOnly,
  });
  const lost = new AbortController();
  client.on('error', (error) => {
    lost.abort(nodeFailure(address.node, error));
  });
  client.on('end', () => {
    lost.abort(new PgrepError('unreachable', `The connection to node ${address.node} ended.`));
  });
  try {
    await client.connect();
  } catch (error) {
    throw nodeFailure(address.node, error);
  }
  const session = new PgSession(address, client, lost);
  await session.readVersion();
  return session;
}

class PgSession implements Session {
  readonly node: string;
  version = 0;
  readonly #client: pg.Client;
  readonly #lost: AbortController;
  /** Statements whose answer is awaited. */
  #waiting = 0;
  /** Settles when all that was asked for so far is answered. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ node, url }: PostgresAddress, client: pg.Client, lost: AbortController) {
    this.node = node;
    this.#client = client;
    this.#lost = lost;
    const stopWatch = watchPeer({
      node,
      url,
      pid: (client as unknown as { readonly processID: number }).processID,
      waiting: () => this.#waiting > 0,
      bytes: () => bytesOf(client.connection.stream),
      destroy: (reason) => {
        this.#close(reason);
      },
    });
    lost.signal.addEventListener('abort', stopWatch, { once: true });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async readVersion(): Promise<void> {
    const { rows } = await this.query("select pg_catalog.current_setting('server_version_num') as version");
    this.version = Number(rows[0]?.['version']);
  }

  async query(text: string, values: readonly unknown[] = []): Promise<{ rows: Row[]; rowCount: number }> {
    const result = await this.#answer(() => this.#client.query<Row>(text, [...values]));
    return { rows: result.rows, rowCount: result.rowCount ?? 0 };
  }

  async script(text: string): Promise<{ rows: Row[]; rowCount: number }[]> {
    const results: unknown = await this.#answer(() => this.#client.query(text));
    const list = (Array.isArray(results) ? results : [results]) as pg.QueryResult<Row>[];
    return list.map((result) => ({ rows: result.rows, rowCount: result.rowCount ?? 0 }));
  }

  copyOut(text: string, first?: string): Readable {
    const stream = copyTo(text) as CopyToStreamQuery & { handleError(error: Error): void };
    // The driver hands errors to this method; from here on they carry the node's name.
    const handleError = stream.handleError.bind(stream);
    stream.handleError = (error: Error) => {
      handleError(readFailure(this.node, error));
    };
    this.#waiting += 1;
    const ended = new Promise<void>((resolve) => {
      stream.once('close', () => {
        this.#waiting -= 1;
        resolve();
      });
    });
    const before = first === undefined ? Promise.resolve() : this.script(first);
    void this.#inTurn(async () => {
      try {
        await before;
        // Nobody may wait for it any more.
        if (!stream.destroyed) this.#client.query(stream);
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
      }
      await ended;
    });
    return stream;
  }

  onNotify(heard: (channel: string) => void): void {
    this.#client.on('notification', (message) => {
      heard(message.channel);
    });
  }

  destroy(): void {
    this.#close(new PgrepError('unreachable', `The connection to node ${this.node} was closed.`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost.signal.aborted) {
      this.destroy();
      return;
    }
    // A server that does not answer does not say goodbye either.
    const cancel = after(goodbyeMs, () => {
      this.destroy();
    });
    await this.#client.end().catch(() => undefined);
    cancel();
  }

  #close(reason: PgrepError): void {
    this.#lost.abort(reason);
    this.#client.connection.stream.destroy();
  }

  /** One after the other: several links share a session, and the driver warns of statements that are queued behind others. */
  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #answer<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#waiting += 1;
    try {
      return await this.#inTurn(run);
    } catch (error) {
      // Of a connection that was given up the reason says more than the driver.
      const reason: unknown = this.#lost.signal.reason;
      throw sqlState(error) === '' && reason instanceof PgrepError ? reason : nodeFailure(this.node, error);
    } finally {
      this.#waiting -= 1;
    }
  }
}

const goodbyeMs = 1_000;

function bytesOf(stream: unknown): number {
  return stream instanceof Socket ? stream.bytesRead + stream.bytesWritten : 0;
}

/** What a driver's error means for a node, as a PgrepError with the node's name; a row's error stays as it is. */
export function nodeFailure(node: string, error: unknown): unknown {
  if (error instanceof PgrepError || isProgrammingError(error)) return error;
  const state = sqlState(error);
  const text = error instanceof Error ? error.message : String(error);
  switch (failureKind(error)) {
    case 'transient':
      return new PgrepError('unreachable', `Node ${node} cannot be reached or is busy: ${text || state}.`, {
        hint: `Check that its server runs and that nodes.${node}.postgres in the configuration names it.`,
        cause: error,
      });
    case 'configuration':
      return new PgrepError('privilege', `Node ${node} refuses: ${text} (${state}).`, {
        hint: `Check user, password and database of nodes.${node}.postgres, and the privileges of that role.`,
        cause: error,
      });
    case 'row':
      return error;
  }
}

/** A COPY from a source that failed: never the target's, and never one row's that could be held. */
function readFailure(node: string, error: Error): Error {
  const failure = nodeFailure(node, error);
  if (failure instanceof PgrepError) return failure;
  return new PgrepError(
    'table',
    `Reading changed rows from node ${node} failed: ${error.message} (${sqlState(error)}).`,
    {
      hint: 'Check the table and the route: pgrep status; a value that cannot be read has to be mended at the source.',
      cause: error,
    },
  );
}

/** Errors of the language itself come from a mistake in this program and must not look like a network that is down. */
function isProgrammingError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
