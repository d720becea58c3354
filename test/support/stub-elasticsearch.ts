import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that the stub got. */
export interface StubRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What the stub says: a whole answer; half of its body and then a reset; or a reset without a word. */
export type StubAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'half'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'reset' };

/** Chooses the answer to a request; `requests` so far, this one included, tell which one it is. */
export type StubScript = (request: StubRequest, requests: readonly StubRequest[]) => StubAnswer;

/** An HTTP server that fails as a real Elasticsearch cannot be made to on demand. */
export class StubElasticsearch implements AsyncDisposable {
  readonly requests: StubRequest[] = [];
  readonly url: string;
  script: StubScript;
  private readonly server: Server;

  private constructor(server: Server, script: StubScript) {
    this.server = server;
    this.script = script;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.reply(request, response);
    });
  }

  /** Listens on a free port of 127.0.0.1. */
  static async open(script: StubScript): Promise<StubElasticsearch> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new StubElasticsearch(server, script);
  }

  /** Requests to `_bulk`. */
  get bulks(): readonly StubRequest[] {
    return this.requests.filter((request) => /\/_bulk(\?|$)/.test(request.url));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async reply(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = message;
    const request = { method, url, headers, body: Buffer.concat(chunks).toString() };
    this.requests.push(request);
    const answer = this.script(request, this.requests);
    if (answer.kind === 'reset') {
      message.socket.resetAndDestroy();
      return;
    }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      // The client refuses to speak with anything that does not say this.
      'x-elastic-product': 'Elasticsearch',
      'content-type': 'application/vnd.elasticsearch+json;compatible-with=8',
      'content-length': Buffer.byteLength(body),
      ...(answer.kind === 'answer' ? answer.headers : {}),
    });
    if (answer.kind === 'answer') response.end(body);
    else response.write(body.slice(0, body.length / 2), () => message.socket.resetAndDestroy());
  }
}

/** An answer with a status and a JSON body. */
export function answer(status: number, body: unknown = {}, headers: Readonly<Record<string, string>> = {}): StubAnswer {
  return { kind: 'answer', status, body, headers };
}

/** The good answer to a bulk request, or one where `itemStatus` gives other statuses by document id. */
export function bulkAnswer(request: StubRequest, itemStatus: (id: string) => number = () => 200): StubAnswer {
  const items = bulkActions(request.body).map(({ operation, id, index }) => {
    const status = itemStatus(id);
    const error = status < 300 ? {} : { error: { type: 'stub_exception', reason: `stub answers ${status}` } };
    return { [operation]: { _index: index, _id: id, status, ...error } };
  });
  const errors = items.some((item) => Object.values(item).some((result) => 'error' in result));
  return answer(200, { took: 1, errors, items });
}

/** The action lines of a bulk body, in order; a document follows each that is not a delete. */
export function bulkActions(body: string): { operation: string; id: string; index: string | undefined }[] {
  const lines = body.split('\n').filter((line) => line !== '');
  const actions: { operation: string; id: string; index: string | undefined }[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [entry] = Object.entries(JSON.parse(lines[at] ?? '{}') as Record<string, { _id?: string; _index?: string }>);
    if (!entry) continue;
    const [operation, { _id = '', _index }] = entry;
    actions.push({ operation, id: _id, index: _index });
    if (operation !== 'delete') at++;
  }
  return actions;
}
