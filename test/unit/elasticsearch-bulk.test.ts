import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { Bulk, cutBulks } from '../../src/targets/elasticsearch/bulk.ts';

const seed = Number(process.env['PGREP_TEST_SEED'] ?? Date.now() % 1_000_000);

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Item {
  readonly id: string;
  readonly document: string | null;
}

function line({ id, document }: Item): string {
  return `{"${document === null ? 'delete' : 'index'}":{"_id":${JSON.stringify(id)}}}\u0002${document ?? ''}\n`;
}

function body({ id, document }: Item): string {
  const action = `{"${document === null ? 'delete' : 'index'}":{"_id":${JSON.stringify(id)}}}`;
  return document === null ? `${action} \n` : `${action}\n${document}\n`;
}

function someItems(random: () => number): Item[] {
  return Array.from({ length: Math.floor(random() * 400) }, (_, i) => ({
    id: `ü"\\${i}`,
    document: random() < 0.3 ? null : JSON.stringify({ index: 'x'.repeat(Math.floor(random() ** 8 * 300_000)) }),
  }));
}

test(`any stream of lines, however it is cut into chunks, gives its items in order (seed ${seed})`, async () => {
  const random = randomOf(seed);
  for (let round = 0; round < 30; round += 1) {
    const items = someItems(random);
    const bytes = Buffer.from(items.map(line).join(''));
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = 1 + Math.floor(random() ** 3 * 100_000);
      chunks.push(bytes.subarray(at, at + length));
      at += length;
    }
    const limit = 1 + Math.floor(random() * 200_000);
    const sent: string[] = [];
    let count = 0;
    for await (const bulk of cutBulks(Readable.from(chunks), () => limit)) {
      sent.push(bulk.body.toString());
      for (let i = 0; i < bulk.count; i += 1) expect(bulk.idOf(i)).toBe(items[count + i]?.id);
      count += bulk.count;
    }
    expect(count).toBe(items.length);
    expect(sent.join('') === items.map(body).join('')).toBe(true);
  }
});

test('bulks are about as large as asked for', async () => {
  const lines = Array.from({ length: 10_000 }, (_, i) =>
    line({ id: String(i), document: `{"t":"${'x'.repeat(100)}"}` }),
  );
  const sizes: number[] = [];
  for await (const bulk of cutBulks(Readable.from([Buffer.from(lines.join(''))].flatMap(pieces)), () => 200_000))
    sizes.push(bulk.body.length);
  expect(sizes.length).toBeGreaterThan(5);
  for (const size of sizes.slice(0, -1)) expect(Math.abs(size - 200_000)).toBeLessThan(70_000);
});

function pieces(bytes: Buffer): Buffer[] {
  return bytes.length <= 65_536 ? [bytes] : [bytes.subarray(0, 65_536), ...pieces(bytes.subarray(65_536))];
}

test('a reader that stops early destroys the stream', async () => {
  const stream = Readable.from([Buffer.from(line({ id: '1', document: '{}' }).repeat(10))]);
  for await (const bulk of cutBulks(stream, () => 1)) {
    expect(bulk.count).toBe(10);
    break;
  }
  expect(stream.destroyed).toBe(true);
});

test('halves, slices and picks keep items whole', () => {
  const items: Item[] = [0, 1, 2, 3, 4].map((i) => ({ id: String(i), document: i % 2 === 0 ? '{"a":1}' : null }));
  const bulk = Bulk.ofLines(Buffer.from(items.map(line).join('')));
  const [first, second] = bulk.halves();
  expect([...ids(first), ...ids(second)]).toEqual(['0', '1', '2', '3', '4']);
  expect(Math.min(first.count, second.count)).toBeGreaterThan(0);
  expect(first.body.toString() + second.body.toString()).toBe(bulk.body.toString());
  const picked = bulk.slice(1, 5).pick([0, 3]);
  expect(ids(picked)).toEqual(['1', '4']);
  expect(picked.body.toString()).toBe(
    items
      .filter((_, i) => i === 1 || i === 4)
      .map(body)
      .join(''),
  );
  const [left, right] = bulk.slice(3, 5).halves();
  expect([ids(left), ids(right)]).toEqual([['3'], ['4']]);
});

function ids(bulk: Bulk): string[] {
  return Array.from({ length: bulk.count }, (_, i) => bulk.idOf(i));
}
