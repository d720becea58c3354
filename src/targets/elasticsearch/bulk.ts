import type { Readable } from 'node:stream';
import { separatorByte } from './copy-statement.ts';

const lineFeed = 0x0a;
const space = 0x20;

/** Actions with their documents, as the bytes of a bulk request, cut into items. */
export class Bulk {
  readonly #bytes: Buffer;
  /** Where each item begins in `#bytes`, and last where the last one ends. */
  readonly #starts: Uint32Array;

  private constructor(bytes: Buffer, starts: Uint32Array) {
    this.#bytes = bytes;
    this.#starts = starts;
  }

  /** Takes whole lines of `documentsCopy` and turns them, in place, into the body of a bulk request. */
  static ofLines(bytes: Buffer): Bulk {
    const starts: number[] = [];
    let start = 0;
    while (start < bytes.length) {
      starts.push(start);
      const separator = bytes.indexOf(separatorByte, start);
      const isDelete = bytes[separator + 1] === lineFeed;
      // An empty line would stand where the next action is expected.
      bytes[separator] = isDelete ? space : lineFeed;
      start = bytes.indexOf(lineFeed, separator + 1) + 1;
    }
    return new Bulk(bytes, Uint32Array.from([...starts, bytes.length]));
  }

  /** Number of items. */
  get count(): number {
    return this.#starts.length - 1;
  }

  /** The body of the request. */
  get body(): Buffer {
    return this.#bytes.subarray(this.#startOf(0), this.#startOf(this.count));
  }

  /** The `_id` of one item. */
  idOf(index: number): string {
    const item = this.#bytes.subarray(this.#startOf(index), this.#startOf(index + 1));
    const action = JSON.parse(item.subarray(0, item.indexOf(lineFeed)).toString()) as Record<string, { _id: string }>;
    return Object.values(action)[0]?._id ?? '';
  }

  /** The items from `from` up to but without `to`; shares the bytes. */
  slice(from: number, to: number): Bulk {
    return new Bulk(this.#bytes, this.#starts.subarray(from, to + 1));
  }

  /** Two parts of about the same number of bytes; needs at least two items. */
  halves(): [Bulk, Bulk] {
    const middle = (this.#startOf(0) + this.#startOf(this.count)) / 2;
    let at = 1;
    while (at < this.count - 1 && this.#startOf(at) < middle) at += 1;
    return [this.slice(0, at), this.slice(at, this.count)];
  }

  /** These items only, copied. */
  pick(indices: readonly number[]): Bulk {
    const parts = indices.map((index) => this.#bytes.subarray(this.#startOf(index), this.#startOf(index + 1)));
    const starts = new Uint32Array(parts.length + 1);
    parts.forEach((part, i) => (starts[i + 1] = (starts[i] ?? 0) + part.length));
    return new Bulk(Buffer.concat(parts), starts);
  }

  #startOf(index: number): number {
    return this.#starts[index] ?? 0;
  }
}

// One read of a socket brings at most this; small batches should not cost a large buffer.
const firstBytes = 64 * 1024;

/**
 * Cuts the stream of `documentsCopy` into bulks of about `maxBytes()` (asked anew for each), more only where a single item is larger.
 * Holds one bulk and one chunk in memory. The stream is destroyed when the reader stops early.
 */
export async function* cutBulks(stream: Readable, maxBytes: () => number): AsyncGenerator<Bulk> {
  let buffer: Buffer = Buffer.allocUnsafe(firstBytes);
  let used = 0;
  let whole = 0;
  for await (const read of stream) {
    const chunk = read as Buffer;
    if (used + chunk.length > buffer.length) buffer = grown(buffer, used, chunk.length);
    chunk.copy(buffer, used);
    const lastLine = chunk.lastIndexOf(lineFeed);
    if (lastLine >= 0) whole = used + lastLine + 1;
    used += chunk.length;
    if (used < maxBytes() || whole === 0) continue;
    const rest = Buffer.allocUnsafe(Math.max(used - whole, maxBytes() + firstBytes));
    buffer.copy(rest, 0, whole, used);
    yield Bulk.ofLines(buffer.subarray(0, whole));
    buffer = rest;
    used -= whole;
    whole = 0;
  }
  if (used > 0) yield Bulk.ofLines(buffer.subarray(0, used));
}

function grown(buffer: Buffer, used: number, more: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, used + more));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
