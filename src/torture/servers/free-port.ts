import { createServer, type AddressInfo } from 'node:net';

/** Below the ports that the kernel hands to outgoing connections, so that a server can come back on its port. */
const lowest = 20_000;
const highest = 32_000;

/** A TCP port of 127.0.0.1 that nothing listens on right now, below 32768. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (await isFree(port)) return port;
  }
}

/** True when 127.0.0.1 could be bound on this port at this moment. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => {
      resolve(false);
    });
    probe.listen({ port, host: '127.0.0.1' }, () => {
      const bound = (probe.address() as AddressInfo).port === port;
      probe.close(() => {
        resolve(bound);
      });
    });
  });
}
