/** All that the commands know of the process they run in. */
export interface Console {
  /** Results. */
  out(text: string): void;
  /** Logs, progress, warnings, errors. */
  err(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Width of standard output when it is a terminal, else null. */
  readonly columns: number | null;
  /** True when colours are welcome on standard error. */
  readonly colour: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks a question on the terminal; null when there is none to ask on. */
  ask(question: string, signal: AbortSignal): Promise<string | null>;
}
