/**
 * The first of the hot keys at `atMs` after the beginning. They move on, and come back only when all keys have been hot: a node that
 * went wrong with a key is not set right by the next write to it.
 */
export function hotFrom(atMs: number, { hot, all }: { readonly hot: number; readonly all: number }): number {
  const moves = Math.floor(atMs / moveMs);
  return 1 + ((moves * Math.ceil(hot / 2)) % (all - hot));
}

// Half of the hot keys cool down each time: long enough for transactions that are held open to meet what arrives.
const moveMs = 3_000;
