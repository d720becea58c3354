import pg from 'pg';
import { PgrepError } from '../core/error.ts';
import { replicatorName } from '../core/replicator-name.ts';
import { every, monotonicMs } from '../core/timing.ts';
import { isSqlState, sqlState } from './sqlstate.ts';

/** What a watch has to know of a connection. */
export interface WatchedConnection {
  readonly node: string;
  readonly url: string;
  /** Process id of the server's side. */
  readonly pid: number;
  /** True while an answer of the server is awaited. */
  waiting(): boolean;
  /** Bytes that went either way so far: a change is a sign of life. */
  bytes(): number;
  /** Breaks the connection; what waits for it fails. */
  destroy(reason: PgrepError): void;
}

/** What a second connection says of the first one's server process. */
export type PeerState = 'working' | 'not working' | 'gone' | 'no answer';

/**
 * Breaks a connection whose peer is dead, within about 25 s: a network that swallows packets gives neither an answer nor an
 * error for a quarter of an hour, and Node cannot set TCP_USER_TIMEOUT. A statement that merely takes long is told from a lost one
 * by asking over a second connection what the server's process does. Ends when the returned function is called.
 */
export function watchPeer(
  connection: WatchedConnection,
  ask: (asked: WatchedConnection) => Promise<PeerState> = askServer,
): () => void {
  let bytes = connection.bytes();
  let quietSince = monotonicMs();
  let suspicions = 0;
  let asking = false;
  const look = async (): Promise<void> => {
    const alive = !connection.waiting() || connection.bytes() !== bytes;
    bytes = connection.bytes();
    if (alive) {
      quietSince = monotonicMs();
      suspicions = 0;
      return;
    }
    if (asking || monotonicMs() - quietSince < quietMs) return;
    asking = true;
    const state = await ask(connection);
    asking = false;
    if (!connection.waiting() || connection.bytes() !== bytes) return;
    if (state === 'working') quietSince = monotonicMs();
    // An answer may be under way at the moment of the question: it takes two that say so.
    suspicions = state === 'not working' ? suspicions + 1 : 0;
    if (state === 'gone' || state === 'no answer' || suspicions > 1) connection.destroy(deadPeer(connection.node));
  };
  return every(lookMs, () => void look());
}

/** Asks over a connection of its own; never rejects. An answer with an SQLSTATE, whatever it is, shows a server that lives. */
async function askServer({ url, pid }: WatchedConnection): Promise<PeerState> {
  const client = new pg.Client({ connectionString: url, application_name: replicatorName, connectionTimeoutMillis: askMs, query_timeout: askMs }); // prettier-ignore
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ state: string | null }>(
      'select a.state from pg_catalog.pg_stat_activity a where a.pid = $1',
      [pid],
    );
    const [row] = rows;
    if (row === undefined) return 'gone';
    return row.state?.startsWith('idle') === true ? 'not working' : 'working';
  } catch (error) {
    return isSqlState(sqlState(error)) ? 'working' : 'no answer';
  } finally {
    client.connection.stream.destroy();
  }
}

function deadPeer(node: string): PgrepError {
  return new PgrepError('unreachable', `Node ${node} has stopped answering; the connection was given up.`, {
    hint: `Check the network to it, and that its server runs.`,
  });
}

const lookMs = 3_000;
// Most statements end sooner, so that healthy connections are seldom asked about.
const quietMs = 10_000;
// As long as a new connection may take.
const askMs = 10_000;
