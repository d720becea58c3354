import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * `pass`: bytes go through. `blackhole`: connections are accepted and bytes swallowed, both ways, for ever.
 * `refuse`: new connections are reset at once.
 */
export type ProxyMode = 'pass' | 'blackhole' | 'refuse';

/** A TCP proxy on 127.0.0.1 between a client and a server, with faults on demand. */
export class FaultProxy implements AsyncDisposable {
  mode: ProxyMode = 'pass';
  /** Milliseconds that every piece of data waits, each way. */
  delayMs = 0;
  readonly port: number;
  private readonly server: Server;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private trap: ReplyTrap | undefined;
  private readonly kept: (() => void)[] = [];

  private constructor(server: Server, upstreamPort: number) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client) => {
      this.accept(client, upstreamPort);
    });
  }

  /** Listens on a free port and forwards to this port of 127.0.0.1. */
  static async open(upstreamPort: number): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FaultProxy(server, upstreamPort);
  }

  /** The URL with this proxy's port instead of its own. */
  url(original: string): string {
    const url = new URL(original);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** Open connections at this moment. */
  get connections(): number {
    return this.pairs.size;
  }

  /** Resets every open connection, both sides. New ones follow `mode`. */
  cut(): void {
    for (const pair of this.pairs) reset(pair);
  }

  /**
   * Once: when a client has sent bytes that contain the marker, the server's next answer on that connection is
   * thrown away and the connection reset, so that the client cannot know whether the server did it.
   * Resolves when that has happened.
   */
  dropReplyAfter(marker: string): Promise<void> {
    return new Promise((resolve) => {
      this.trap = { marker: Buffer.from(marker), sprung: resolve, kind: 'cut' };
    });
  }

  /**
   * Once: when a client sends bytes that contain the marker, these and all that follow on that connection, both ways, are held
   * back until `release`, or for ever. Resolves when that has happened.
   */
  holdAt(marker: string): Promise<void> {
    return new Promise((resolve) => {
      this.trap = { marker: Buffer.from(marker), sprung: resolve, kind: 'request' };
    });
  }

  /** Lets pass what `holdAt` has kept back. */
  release(): void {
    for (const pass of this.kept.splice(0)) pass();
  }

  /** Resolves when a client sends the marker; everything passes. */
  watchFor(marker: string): Promise<void> {
    return new Promise((resolve) => {
      this.trap = { marker: Buffer.from(marker), sprung: resolve, kind: 'watch' };
    });
  }

  /** As `holdAt`, for the answer: the server gets the bytes with the marker, the client nothing more. */
  holdReplyAfter(marker: string): Promise<void> {
    return new Promise((resolve) => {
      this.trap = { marker: Buffer.from(marker), sprung: resolve, kind: 'reply' };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(client: Socket, upstreamPort: number): void {
    client.on('error', () => undefined);
    if (this.mode === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
    upstream.on('error', () => undefined);
    client.setNoDelay(true);
    const pair = [client, upstream] as const;
    this.pairs.add(pair);
    const state: PairState = { tail: Buffer.alloc(0), armed: undefined, held: false };
    client.on('data', (data) => {
      this.watchForMarker(state, data);
      if (state.armed?.kind === 'request') this.hold(state, state.armed);
      if (state.held) this.kept.push(() => this.forward(client, upstream, data));
      else this.forward(client, upstream, data);
    });
    upstream.on('data', (data) => {
      if (state.armed?.kind === 'reply') this.hold(state, state.armed);
      if (state.held) return;
      if (state.armed) {
        reset(pair);
        state.armed.sprung();
      } else {
        this.forward(upstream, client, data);
      }
    });
    this.closeTogether(pair);
  }

  private hold(state: PairState, trap: ReplyTrap): void {
    state.armed = undefined;
    state.held = true;
    this.kept.push(() => (state.held = false));
    trap.sprung();
  }

  private closeTogether(pair: readonly [Socket, Socket]): void {
    const [client, upstream] = pair;
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.once('close', () => {
        this.pairs.delete(pair);
        if (this.mode !== 'blackhole' || one === client) other.destroy();
      });
    }
  }

  private forward(from: Socket, to: Socket, data: Buffer): void {
    if (this.mode === 'blackhole') return;
    if (this.delayMs > 0) {
      setTimeout(() => to.write(data), this.delayMs);
      return;
    }
    if (to.write(data)) return;
    from.pause();
    to.once('drain', () => from.resume());
  }

  private watchForMarker(state: PairState, data: Buffer): void {
    const trap = this.trap;
    if (!trap) return;
    const seen = Buffer.concat([state.tail, data]);
    state.tail = seen.subarray(Math.max(0, seen.length - trap.marker.length + 1));
    if (!seen.includes(trap.marker)) return;
    this.trap = undefined;
    if (trap.kind === 'watch') trap.sprung();
    else state.armed = trap;
  }
}

interface ReplyTrap {
  readonly kind: 'cut' | 'request' | 'reply' | 'watch';
  readonly marker: Buffer;
  readonly sprung: () => void;
}

interface PairState {
  /** The end of what was sent, in which a marker may have begun. */
  tail: Buffer;
  armed: ReplyTrap | undefined;
  /** True: nothing passes any more. */
  held: boolean;
}

function reset(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) socket.resetAndDestroy();
}
