/** What a replayer did in one batch that its target committed. */
export interface AppliedBatch {
  readonly source: string;
  readonly target: string;
  /** Keys made equal, including those already equal. */
  readonly keys: number;
  /** Rows that the target refused. */
  readonly held: number;
  /** From the snapshot to the commit. */
  readonly seconds: number;
}

/** Is told of each committed batch; must not throw and must return at once. */
export type OnBatch = (batch: AppliedBatch) => void;
