import { inspect } from 'node:util';

const shown = '[secret]';

/**
 * Holds a text that is never shown by accident: `String()`, `JSON.stringify`, template literals,
 * `console.log` and loggers see `[secret]`. Only `reveal` gives it.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the driver that needs it; never for a message. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}
