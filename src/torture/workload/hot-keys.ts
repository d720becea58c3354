/**
 * The first of the hot keys at `atMs` after the beginning. They move on, and come back only when all keys have been hot: a node that
 * went wrong with a key is not set right by the next write to it.
 */
export function hotFrom(atMs: number, { hot, all }: { readonly hot: number; readonly all: number }): number {
  const moves = Math.floor(atMs / moveMs);
  return 1 + ((moves * Math.ceil(hot / 2)) % (all - hot));
}

// Each key is hot for a second. A longer time only adds writes that set right what went wrong before; what was held open or delayed meets
// cold keys, and stays.
const moveMs = 500;
