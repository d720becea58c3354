import { monotonicMs } from '../../../core/timing.ts';

/**
 * Whether large batches are judged without locks. Locking every row first costs as much as a third of the merge and is for nothing
 * where nobody writes the same rows at the target; where somebody did, the batch was done twice, and the next ones lock first.
 */
export class Optimism {
  #from = 0;

  get justified(): boolean {
    return monotonicMs() >= this.#from;
  }

  disappoint(): void {
    this.#from = monotonicMs() + cautiousMs;
  }
}

const cautiousMs = 60_000;
