import { connect, type Socket } from 'node:net';
import type { Writable } from 'node:stream';
import postgres from 'postgres';
import type { PgrepError } from '../../core/error.ts';
import { replicatorName } from '../../core/replicator-name.ts';
import { after } from '../../core/timing.ts';
import { pinnedSettings } from '../../db/pinned-settings.ts';
import { watchPeer } from '../../db/peer-watch.ts';
import { nodeFailure, type PostgresAddress } from '../../db/session.ts';

export type TargetRow = Readonly<Record<string, unknown>>;

/**
 * One connection to a Postgres target. It never reconnects by itself: what was begun on it is gone with it,
 * so no statement can ever run outside the transaction that it was meant for.
 */
export interface TargetConnection {
  /**
   * Runs statements without parameters in one round trip; calls made without waiting are pipelined in order.
   * Gives the rows of all statements, in order.
   */
  script(text: string): Promise<readonly TargetRow[]>;
  /** Opens `copy … from stdin`. */
  copyIn(text: string): Promise<Writable>;
  /** The error to report: a row's error as the driver gave it, all others as a PgrepError that names the node. */
  failure(error: unknown): unknown;
  /** Breaks the connection at once. */
  destroy(): void;
  /** True after the socket was closed, by whichever side. */
  readonly closed: boolean;
}

/** Connects to a target. Nagle's algorithm is off: with it a small COPY took 90 ms from commit to visible, without it 6. */
export async function openTargetConnection(address: PostgresAddress): Promise<TargetConnection> {
  let socket: Socket | undefined;
  const waiting = new Set<Reject>();
  const openSocket = async ({ host, port, path }: SocketOptions): Promise<Socket> => {
    // A second call is the driver's reconnect: refused, see TargetConnection.
    if (socket !== undefined) throw connectionClosed();
    socket = path ? connect({ path }) : connect({ host: host[0] ?? 'localhost', port: port[0] ?? 5432 });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    // A turn later, so that the driver, where it knows more of the reason, is first.
    socket.once('close', () => after(0, () => waiting.forEach((reject) => reject(connectionClosed())))); // prettier-ignore
    await connected(socket);
    return socket;
  };
  const options = {
    max: 1,
    fetch_types: false,
    prepare: false,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 10,
    connection: { application_name: replicatorName, ...pinnedSettings },
    onnotice: () => undefined,
    socket: openSocket,
    // Everything stays text, as it came.
    types: {},
  };
  const sql = postgres(address.url, options as unknown as postgres.Options<Record<string, never>>);
  const connection = new PostgresJsConnection({ node: address.node, sql, socket: () => socket, waiting });
  try {
    const [row] = await connection.script('select pg_catalog.pg_backend_pid()::text as pid');
    connection.watch(address, Number(row?.['pid']));
  } catch (error) {
    connection.destroy();
    throw connection.failure(error);
  }
  return connection;
}

type Reject = (error: unknown) => void;

interface SocketOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string;
}

// The driver's own time limit begins once there is a socket.
function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = after(connectMs, () => socket.destroy(connectTimeout()));
    socket.once('connect', resolve);
    socket.once('error', reject);
    socket.once('close', cancel);
    socket.once('connect', cancel);
  });
}

const connectMs = 10_000;

function connectTimeout(): Error {
  return Object.assign(new Error('the server did not answer in time'), { code: 'CONNECT_TIMEOUT' });
}

function connectionClosed(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'CONNECTION_CLOSED' });
}

class PostgresJsConnection implements TargetConnection {
  readonly #node: string;
  readonly #sql: postgres.Sql;
  readonly #socket: () => Socket | undefined;
  readonly #waiting: Set<Reject>;
  #givenUp: PgrepError | undefined;

  constructor(parts: { node: string; sql: postgres.Sql; socket: () => Socket | undefined; waiting: Set<Reject> }) {
    this.#node = parts.node;
    this.#sql = parts.sql;
    this.#socket = parts.socket;
    this.#waiting = parts.waiting;
  }

  get closed(): boolean {
    return this.#socket()?.destroyed ?? true;
  }

  async script(text: string): Promise<readonly TargetRow[]> {
    const result: unknown = await this.#unlessClosed(() => this.#sql.unsafe(text).simple());
    const list =
      Array.isArray(result) && Array.isArray(result[0]) ? (result as TargetRow[][]) : [result as TargetRow[]];
    return list.flat();
  }

  async copyIn(text: string): Promise<Writable> {
    const stream = await this.#unlessClosed(() => this.#sql.unsafe(text).writable());
    const fail: Reject = (error) => stream.destroy(error instanceof Error ? error : connectionClosed());
    this.#waiting.add(fail);
    stream.once('close', () => this.#waiting.delete(fail));
    return stream;
  }

  /** From here on a peer that is dead breaks the connection. */
  watch(address: PostgresAddress, pid: number): void {
    const socket = this.#socket();
    if (socket === undefined) return;
    const stop = watchPeer({
      ...address,
      pid,
      waiting: () => this.#waiting.size > 0,
      bytes: () => socket.bytesRead + socket.bytesWritten,
      destroy: (reason) => {
        this.#givenUp = reason;
        socket.destroy();
      },
    });
    socket.once('close', stop);
  }

  /**
   * When the connection is lost the driver answers one call; those queued behind it wait for a reconnect that never comes.
   * So nothing is begun on a closed socket, and what is under way ends with it.
   */
  async #unlessClosed<Result>(begin: () => PromiseLike<Result>): Promise<Result> {
    if (this.#socket()?.destroyed) throw connectionClosed();
    let stop: Reject = () => undefined;
    try {
      return await new Promise<Result>((resolve, reject) => {
        stop = reject;
        this.#waiting.add(stop);
        begin().then(resolve, reject);
      });
    } finally {
      this.#waiting.delete(stop);
    }
  }

  failure(error: unknown): unknown {
    // Of a connection that was given up the reason says more than the driver.
    return this.#givenUp ?? nodeFailure(this.#node, error);
  }

  destroy(): void {
    this.#socket()?.destroy();
    // Ends the driver's own timers; its answer is of no interest.
    this.#sql.end({ timeout: 0 }).catch(() => undefined);
  }
}
