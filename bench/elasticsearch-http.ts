import { Agent, request } from 'node:http';
import { PgrepError } from '../src/core/error.ts';

/** The least that the benchmark needs of Elasticsearch: no client of its own, so that nothing but the server is measured. */

/** An answer with a status below 500; `body` as it came. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD';
  /** URL of the server and path. */
  readonly url: string;
  readonly body?: string | Buffer;
}

const agent = new Agent({ keepAlive: true, noDelay: true });

/** Sends one request over a kept connection; throws `unreachable` when there is no answer or a 5xx. */
export function send(wanted: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers =
      wanted.body === undefined
        ? {}
        : { 'content-type': contentType(wanted.url), 'content-length': Buffer.byteLength(wanted.body) };
    const outgoing = request(wanted.url, { method: wanted.method, agent, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const status = incoming.statusCode ?? 0;
        const body = Buffer.concat(chunks).toString();
        if (status < 500) resolve({ status, body });
        else reject(new PgrepError('unreachable', `Elasticsearch answered ${status}: ${body.slice(0, 300)}`));
      });
    });
    outgoing.on('error', reject);
    outgoing.end(wanted.body);
  });
}

/** Sends a request that must succeed and reads the answer's JSON; throws `no` otherwise. */
export async function sendJson<T>(wanted: Request): Promise<T> {
  const { status, body } = await send(wanted);
  if (status >= 400)
    throw new PgrepError('no', `${wanted.method} ${wanted.url} was answered ${status}: ${body.slice(0, 300)}`);
  return JSON.parse(body) as T;
}

function contentType(url: string): string {
  return url.includes('_bulk') ? 'application/x-ndjson' : 'application/json';
}

/** Removes every connection that is kept, so that the process can end. */
export function closeConnections(): void {
  agent.destroy();
}
