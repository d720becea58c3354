/** Names of what capture makes for captured table `tableId` (an int as text). All are in schema `pgrep` but the triggers. */

/** The queue; its slices add `_0`, `_1`, `_2`. */
export function queueTable(tableId: string): string {
  return `pgrep.queue_${tableId}`;
}

/** The three trigger functions; all that belongs to a table's capture hangs on them. */
export function captureFunctions(tableId: string): {
  readonly keys: string;
  readonly oldKeys: string;
  readonly truncate: string;
} {
  const keys = `pgrep.capture_${tableId}`;
  return { keys, oldKeys: `${keys}_old_keys`, truncate: `${keys}_truncate` };
}

/** How many slices a queue has: rows go to one, one is being drained, one is empty or being emptied. */
export const sliceCount = 3;
