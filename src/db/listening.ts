import { connect } from 'node:net';
import { after } from '../core/timing.ts';

// A host that swallows the attempt counts as down; the next one comes soon.
const attemptMs = 1_000;

/**
 * Tells whether something accepts TCP connections where a URL points: the cheapest way to see that a server is back.
 * A socket folder instead of a host counts as listening, so that the real attempt decides. Never rejects.
 */
export function isListening(url: string, defaultPort: number): Promise<boolean> {
  const { hostname, port } = new URL(url);
  if (hostname === '' || decodeURIComponent(hostname).startsWith('/')) return Promise.resolve(true);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) });
    const end = (listening: boolean): void => {
      cancel();
      socket.destroy();
      resolve(listening);
    };
    const cancel = after(attemptMs, () => {
      end(false);
    });
    socket.once('connect', () => {
      end(true);
    });
    socket.once('error', () => {
      end(false);
    });
  });
}
