import { PgrepError } from '../../core/error.ts';

/** How long a condition may take, and what to call it when it does not come. */
export interface WaitOptions {
  /** Milliseconds until the wait fails; 20 s unless given. */
  readonly deadlineMs?: number;
  /** What is awaited, for the message. */
  readonly what: string;
  /** Pause between two looks; 20 ms unless given. */
  readonly everyMs?: number;
}

/**
 * Returns the condition's first answer that is neither false, null nor undefined.
 * A condition that throws counts as "not yet"; the last error becomes the cause of the failure.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { deadlineMs = 20_000, everyMs = 20, what } = options;
  const end = Date.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      cause = undefined;
      if (answer !== false && answer !== null && answer !== undefined) {
        return answer as Exclude<T, false | null | undefined>;
      }
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) throw new PgrepError('no', `waited ${deadlineMs} ms in vain for ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
