import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import type { Client, ClientOptions } from '@elastic/elasticsearch';
import { PgrepError } from '../../core/error.ts';

/** Where an Elasticsearch cluster is and how to log in: `apiKey`, or `username` and `password`, or neither. */
export interface ElasticsearchAddress {
  /** Without user and password. */
  readonly url: string;
  readonly apiKey?: string;
  readonly username?: string;
  readonly password?: string;
  /** Path of a PEM file with the certificate authority. */
  readonly caFile?: string;
  /** SHA-256 of the certificate authority, hexadecimal. */
  readonly caFingerprint?: string;
  /** A request without an answer after this time counts as failed; 30 s unless given. */
  readonly requestTimeoutMs?: number;
}

/** An answer whatever its status: retrying and judging is not the client's business. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  /** From `Retry-After` in seconds; null when absent or a date. */
  readonly retryAfterMs: number | null;
}

/** What is sent: a JSON value or the raw body of a bulk request. */
export interface ClusterRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly json?: object;
  readonly bulk?: Buffer;
}

// A full bulk takes well under a second on a healthy cluster; the position is kept if it took longer after all.
const defaultTimeoutMs = 30_000;

/** The only user of the Elasticsearch client: one cluster, requests in, answers out. */
export class Cluster implements AsyncDisposable {
  /** The node's name in the configuration, for messages. */
  readonly node: string;
  readonly #options: ClientOptions;
  #opened: Promise<Client> | undefined;

  /** Does not connect. Throws `config` when the CA file cannot be read. */
  constructor(node: string, address: ElasticsearchAddress) {
    this.node = node;
    this.#options = clientOptions(node, address);
  }

  /**
   * Sends one request, once, and reads the whole answer. Throws `unreachable` when there was none (refused, reset, timed out,
   * cut short), `config` when something else answers or the address does not fit together, and the signal's reason when that aborted.
   */
  async request(request: ClusterRequest, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    try {
      const client = await this.#client();
      const answer = await client.transport.request<Readable>(
        {
          method: request.method,
          path: request.path,
          ...(request.query === undefined ? {} : { querystring: request.query }),
          ...(request.json === undefined ? {} : { body: request.json }),
          ...(request.bulk === undefined ? {} : { bulkBody: request.bulk }),
        },
        { asStream: true, meta: true, signal },
      );
      const text = await readText(answer.body);
      return { status: answer.statusCode, text, retryAfterMs: seconds(answer.headers['retry-after']) };
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure(error);
    }
  }

  /** A request whose answer is JSON: throws what `expectJson` throws. */
  async json(request: ClusterRequest, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    return expectJson(this.node, await this.request(request, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that could not be made was told to whoever sent something.
    await (await this.#opened?.catch(() => undefined))?.close();
  }

  // Loading the client takes 0.16 s, which commands that send nothing should not pay.
  #client(): Promise<Client> {
    this.#opened ??= import('@elastic/elasticsearch').then((module) => new module.Client(this.#options));
    return this.#opened;
  }

  #failure(error: unknown): PgrepError {
    if (error instanceof Error && error.name === 'ProductNotSupportedError') {
      return new PgrepError('config', `What answers at the URL of node ${this.node} is not Elasticsearch.`, {
        hint: `Check nodes.${this.node}.elasticsearch in the configuration.`,
        cause: error,
      });
    }
    const why = error instanceof Error ? error.message : String(error);
    if (error instanceof Error && error.name === 'ConfigurationError') {
      return new PgrepError(
        'config',
        `The Elasticsearch client refuses what is configured for node ${this.node}: ${why}.`,
        {
          hint: `Check nodes.${this.node} in the configuration: caFingerprint, for one, needs an https URL.`,
          cause: error,
        },
      );
    }
    return new PgrepError('unreachable', `Node ${this.node} cannot be reached: ${why}.`, {
      hint: `Check that its cluster runs and that nodes.${this.node}.elasticsearch names it; for a certificate authority of your own set nodes.${this.node}.caFile.`,
      cause: error,
    });
  }
}

/** The JSON of a successful answer; else throws `privilege`, `unreachable` or `target` with what the server says. */
export function expectJson(node: string, answer: Answer): Readonly<Record<string, unknown>> {
  if (answer.status === 401 || answer.status === 403) throw deniedError(node, answer.text);
  const body = parseObject(answer.text);
  if (answer.status >= 200 && answer.status < 300) {
    if (body !== null) return body;
    throw new PgrepError('unreachable', `Node ${node} sent half an answer.`);
  }
  const code = answer.status >= 500 || answer.status === 429 || answer.status === 408 ? 'unreachable' : 'target';
  throw new PgrepError(code, `Node ${node} answered ${answer.status}: ${serverReason(answer.text)}.`);
}

/** Says that the login is wrong or lacks privileges. */
export function deniedError(node: string, text: string): PgrepError {
  return new PgrepError('privilege', `Node ${node} refuses: ${serverReason(text)}.`, {
    hint: `Check apiKey, or username and password, of nodes.${node}; it needs the index privilege "all" on the indices and on <index>.pgrep, the aliases that pgrep writes through.`,
  });
}

/** The server's own words for an error, for people; never decided on. */
export function serverReason(text: string): string {
  const error = parseObject(text)?.['error'];
  if (typeof error === 'object' && error !== null && 'reason' in error) return String(error.reason);
  return text.slice(0, 300);
}

/** Null unless the text is a JSON object. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function clientOptions(node: string, address: ElasticsearchAddress): ClientOptions {
  const { apiKey, username, password, caFile, caFingerprint } = address;
  return {
    node: address.url,
    maxRetries: 0,
    requestTimeout: address.requestTimeoutMs ?? defaultTimeoutMs,
    compression: false,
    ...(apiKey === undefined ? {} : { auth: { apiKey } }),
    ...(apiKey !== undefined || username === undefined ? {} : { auth: { username, password: password ?? '' } }),
    ...(caFile === undefined ? {} : { tls: { ca: readCa(node, caFile) } }),
    ...(caFingerprint === undefined ? {} : { caFingerprint }),
  };
}

function readCa(node: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new PgrepError('config', `The CA file ${path} of node ${node} cannot be read.`, {
      hint: `Check nodes.${node}.caFile and the file's permissions.`,
      cause,
    });
  }
}

function seconds(header: string | string[] | undefined): number | null {
  const value = Number(typeof header === 'string' && header !== '' ? header : NaN);
  return Number.isFinite(value) && value >= 0 ? value * 1000 : null;
}
