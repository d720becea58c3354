import { PgrepError } from '../core/error.ts';

/** Where a text stops being JSON. Line and column count from 1. */
export interface JsonMistake {
  readonly line: number;
  readonly column: number;
  /** What is wrong, without the full stop. */
  readonly what: string;
  /** What to type instead. */
  readonly hint: string;
}

/**
 * The first place where `text` is not JSON, or null. `JSON.parse` names it only in a message that differs between
 * versions of Node; and it lets a key that stands twice pass, of which one would silently be ignored.
 */
export function findJsonMistake(text: string): JsonMistake | null {
  const scan = new Scan(text);
  try {
    scan.value();
    scan.end();
    return null;
  } catch (mistake) {
    if (!(mistake instanceof PgrepError)) throw mistake;
    const before = text.slice(0, scan.offset).split('\n');
    const column = (before.at(-1) ?? '').length + 1;
    return { line: before.length, column, what: mistake.message, hint: mistake.hint ?? '' };
  }
}

const stringToken = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
const atomToken = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/** Recursive descent over RFC 8259. */
class Scan {
  readonly #text: string;
  /** Where the scan is: after a throw, where the mistake is. */
  offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): void {
    const char = this.#peek();
    if (char === '{') this.#list('}', () => this.#members());
    else if (char === '[') this.#list(']', () => () => this.value());
    else if (char === '"') this.#string();
    else this.#atom();
  }

  end(): void {
    if (this.#peek() !== '') this.#stop('there is text after the end', 'Remove what stands after the last "}".');
  }

  #members(): () => void {
    const seen = new Set<string>();
    return () => {
      if (this.#peek() !== '"')
        this.#stop(`a key in double quotes is missing before ${this.#shown()}`, 'Write keys as "home".');
      const start = this.offset;
      const key = this.#string();
      if (seen.has(key)) {
        this.offset = start;
        this.#stop(`the key ${key} stands twice`, 'Remove one of the two.');
      }
      seen.add(key);
      if (this.#peek() !== ':') this.#stop(`":" is missing after the key ${key}`, `Write ${key}: and the value.`);
      this.offset++;
      this.value();
    };
  }

  #list(close: string, begin: () => () => void): void {
    this.offset++;
    if (this.#peek() === close) {
      this.offset++;
      return;
    }
    const item = begin();
    for (;;) {
      item();
      const char = this.#peek();
      if (char !== ',' && char !== close) {
        this.#stop(
          `"," or "${close}" is missing before ${this.#shown()}`,
          `Write "," between two entries and "${close}" after the last one.`,
        );
      }
      this.offset++;
      if (char === close) return;
      if (this.#peek() === close)
        this.#stop(`a value is missing between "," and "${close}"`, 'Remove the comma after the last entry.');
    }
  }

  #string(): string {
    const token = this.#match(stringToken);
    if (token === null)
      this.#stop('a text has no closing quote or a wrong escape', 'End it with " on the same line; write \\ as \\\\.');
    return token;
  }

  #atom(): void {
    if (this.#match(atomToken) === null) {
      this.#stop(
        `${this.#shown()} is not a value`,
        'Values are texts in double quotes, numbers, true, false, {…} and […].',
      );
    }
  }

  #match(token: RegExp): string | null {
    token.lastIndex = this.offset;
    const found = token.exec(this.#text);
    if (found === null) return null;
    this.offset = token.lastIndex;
    return found[0];
  }

  /** The next character that is not white space, '' at the end. */
  #peek(): string {
    while (' \t\r\n'.includes(this.#text[this.offset] ?? '-')) this.offset++;
    const char = this.#text[this.offset] ?? '';
    const next = this.#text[this.offset + 1];
    if (char === '/' && (next === '/' || next === '*')) this.#stop('JSON has no comments', 'Remove the comment.');
    return char;
  }

  #shown(): string {
    const rest = this.#text.slice(this.offset);
    return rest === ''
      ? 'the end of the file'
      : (/^(?:"[^"\n]{0,40}"|[\w.+-]{1,40}|.)/su.exec(rest)?.[0] ?? rest.slice(0, 1));
  }

  #stop(what: string, hint: string): never {
    throw new PgrepError('config', what, { hint });
  }
}
