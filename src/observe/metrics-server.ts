import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { PgrepError } from '../core/error.ts';
import type { Logger } from '../core/logger.ts';

/** A page's content and media type. */
export interface Page {
  readonly type: string;
  readonly text: string;
}

/** `healthy` false answers 503, for load balancers and probes. */
export interface Health {
  readonly healthy: boolean;
  readonly links: readonly { readonly source: string; readonly target: string; readonly state: string }[];
  /** Nodes that did not answer; the links that start there are not in `links`. */
  readonly unreachable: readonly string[];
}

export interface MetricsServerOptions {
  /** 0: the system chooses. */
  readonly port: number;
  readonly host: string;
  readonly metrics: () => Promise<Page>;
  readonly health: () => Promise<Health>;
  readonly logger: Logger;
}

/** A running server; disposing of it ends its connections. */
export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/** Serves `/metrics` and `/health` over plain HTTP. A page that cannot be made answers 503 and is logged. */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => void answer(options, request, response));
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    [Symbol.asyncDispose]: async () => {
      await new Promise<void>((done) => {
        server.close(() => {
          done();
        });
        server.closeAllConnections();
      });
    },
  };
}

async function listen(server: Server, { port, host }: MetricsServerOptions): Promise<void> {
  await new Promise<void>((done, fail) => {
    server.once('error', (cause) => {
      const errno = 'code' in cause ? String(cause.code) : 'unknown';
      fail(
        new PgrepError('usage', `The metrics server cannot listen on ${host}:${port} (${errno}).`, {
          hint: 'Choose a free port with --metrics-port, an address of this machine with --metrics-host.',
          cause,
        }),
      );
    });
    server.listen(port, host, done);
  });
}

async function answer(
  options: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?')[0];
  try {
    if (path === '/metrics') {
      const page = await options.metrics();
      response.writeHead(200, { 'content-type': page.type }).end(page.text);
    } else if (path === '/health') {
      const health = await options.health();
      const body = `${JSON.stringify(health)}\n`;
      response.writeHead(health.healthy ? 200 : 503, { 'content-type': 'application/json' }).end(body);
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Here are /metrics and /health.\n');
    }
  } catch (error) {
    options.logger.warn({ error, path }, 'a page of the metrics server could not be made');
    response.writeHead(503, { 'content-type': 'text/plain' }).end('The state cannot be read; the log says why.\n');
  }
}
