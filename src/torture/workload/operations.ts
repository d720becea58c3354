import type { Random } from '../random.ts';

/** One statement of a transaction, with plain numbers and texts as `$n`. */
export interface Operation {
  readonly kind: string;
  readonly text: string;
  readonly values: readonly (number | string)[];
}

/** One transaction of a writer. */
export interface Transaction {
  readonly operations: readonly Operation[];
  /** How long it stays open after its last statement. */
  readonly holdMs: number;
  /** How long the writer rests after it. */
  readonly pauseMs: number;
}

/** Which keys are written: most of the writes go to the `hot` keys from `hotFrom` on, the others to keys 1 to `all`. */
export interface KeyRange {
  readonly hotFrom: number;
  readonly hot: number;
  readonly all: number;
  /** False: where a TRUNCATE is drawn, nothing is written. */
  readonly truncates: boolean;
}

/** Draws the next transaction of a writer. Depends on the stream and the keys alone, and draws as much whatever the keys. */
export function drawTransaction(random: Random, keys: KeyRange): Transaction {
  // One in 700: about one every few seconds over all writers, so that most histories have a floor in them.
  if (random.chance(1 / 700)) {
    const operations = random.chance(2 / 3) ? [truncate, refill(keys.all)] : [truncate];
    return { operations: keys.truncates ? operations : [], holdMs: 0, pauseMs: random.between(5, 60) };
  }
  // An open insert does not hold up a delete that arrives: there is no row to lock.
  if (random.chance(1 / 50)) return { operations: insert(random, keys), holdMs: random.between(100, 1000), pauseMs: random.between(2, 30) }; // prettier-ignore
  // A row that arrives as it is here already, in a newer version, while an open transaction changes it: only locks see that (step a).
  if (random.chance(1 / 150)) return { operations: [operation('held update', 'update torture.parent set n = n + 1 where id = $1', [cold(keys, 0)])], holdMs: random.between(700, 1500), pauseMs: random.between(2, 30) }; // prettier-ignore
  if (random.chance(1 / 25)) return { operations: [operation('cold touch', 'update torture.parent set n = n where id = $1', [cold(keys, 1)])], holdMs: 0, pauseMs: random.between(2, 30) }; // prettier-ignore
  // Two nodes exchange this one beside the others.
  if (random.chance(1 / 25)) return { operations: [operation('aside', 'insert into torture.aside (id) values ($1) on conflict (id) do update set n = aside.n + 1', [random.between(1, 20)])], holdMs: 0, pauseMs: random.between(2, 30) }; // prettier-ignore
  const length = random.weighted([[6, 1], [3, 2], [2, random.between(3, 5)], [0.5, random.between(6, 15)]]); // prettier-ignore
  const operations = Array.from({ length }, () => random.weighted(choices)(random, keys)).flat();
  const holdMs = random.weighted([[60, 0], [6, random.between(5, 200)], [1, random.between(500, 4000)]]); // prettier-ignore
  return { operations, holdMs, pauseMs: random.between(2, 30) };
}

/** Half of the keys have rows before replication begins. */
export function initialRows(all: number): Operation {
  return operation('initial', `insert into torture.parent (id, tag, note) select g, 'initial ' || g, 'initial' from generate_series(2, $1::integer, 2) g`, [all]); // prettier-ignore
}

/** The same rows again, after a TRUNCATE: else there would be hardly any that are not hot. */
function refill(all: number): Operation {
  return operation('refill', "insert into torture.parent (id, note) select g, 'refilled' from generate_series(2, $1::integer, 2) g", [all]); // prettier-ignore
}

type Draw = (random: Random, keys: KeyRange) => readonly Operation[];

const truncate = operation('truncate', 'truncate torture.parent, torture.child', []);
const parts = ['x', 'y', 'z|"'] as const;

const choices: readonly (readonly [number, Draw])[] = [
  [10, insert],
  [20, (random, keys) => [operation('update', 'update torture.parent set n = n + $2, note = $3 where id = $1', [key(random, keys), random.between(0, 9), note(random)])]], // prettier-ignore
  // Changes nothing, as object mappers do: the row has a new version, and is the same.
  [8, (random, keys) => [operation('touch', 'update torture.parent set n = n where id = $1', [lately(random, keys)])]],
  [9, (random, keys) => [operation('delete', 'delete from torture.parent where id = $1', [key(random, keys)])]],
  [4, flicker],
  [3, (random, keys) => [operation('change key', 'update torture.parent set id = $2 where id = $1 and not exists (select from torture.parent p where p.id = $2)', [key(random, keys), key(random, keys)])]], // prettier-ignore
  [2, swap],
  [2, (random, keys) => range(random, keys, 'set update', 'update torture.parent set n = n + 1 where id between $1 and $2')], // prettier-ignore
  [2, (random, keys) => range(random, keys, 'set insert', "insert into torture.parent (id, note) select g, 'set' from generate_series($1::integer, $2) g on conflict do nothing")], // prettier-ignore
  [1, (random, keys) => range(random, keys, 'set delete', 'delete from torture.parent where id between $1 and $2 and id % 3 = 0')], // prettier-ignore
  [12, (random, keys) => [operation('insert child', 'insert into torture.child (id, part, parent_id, amount) select $1, $2, p.id, $4::integer from torture.parent p where p.id = $3 on conflict (id, part) do update set amount = excluded.amount', [key(random, keys), random.pick(parts), key(random, keys), random.between(0, 999)])]], // prettier-ignore
  [8, (random, keys) => [operation('update child', 'update torture.child set amount = $3::integer where id = $1 and part = $2', [key(random, keys), random.pick(parts), random.between(0, 999)])]], // prettier-ignore
  [3, (random, keys) => [operation('delete child', 'delete from torture.child where id = $1 and part = $2', [key(random, keys), random.pick(parts)])]], // prettier-ignore
  [2, (random, keys) => [operation('change child key', 'update torture.child set id = $3, part = $4 where id = $1 and part = $2 and not exists (select from torture.child c where c.id = $3 and c.part = $4)', [key(random, keys), random.pick(parts), key(random, keys), random.pick(parts)])]], // prettier-ignore
  [2, (random, keys) => range(random, keys, 'set update child', 'update torture.child set amount = coalesce(amount, 0) + 1 where parent_id between $1 and $2')], // prettier-ignore
];

function insert(random: Random, keys: KeyRange): readonly Operation[] {
  return [operation('insert', `insert into torture.parent (id, n, note) values ($1, $2, $3) on conflict ${random.pick(['do nothing', '(id) do update set n = excluded.n'])}`, [key(random, keys), random.between(0, 999), note(random)])]; // prettier-ignore
}

/** A row that others see, if at all, only as a deletion. */
function flicker(random: Random, keys: KeyRange): readonly Operation[] {
  const id = key(random, keys);
  return [operation('flicker', "insert into torture.parent (id, note) values ($1, 'flicker') on conflict do nothing", [id]), operation('flicker', 'delete from torture.parent where id = $1', [id])]; // prettier-ignore
}

function operation(kind: string, text: string, values: readonly (number | string)[]): Operation {
  return { kind, text, values };
}

function key(random: Random, keys: KeyRange): number {
  return random.chance(0.75) ? keys.hotFrom + random.between(0, keys.hot - 1) : random.between(1, keys.all);
}

/** A key that was hot up to some seconds ago: nodes agree about it again, but for transactions that are still open. */
function lately(random: Random, keys: KeyRange): number {
  return Math.max(1, keys.hotFrom + keys.hot - random.between(1, 5 * keys.hot));
}

/**
 * A key that is not hot for a long time, before and after, so that nodes agree about it and no next write sets it right; even, as those of the initial
 * rows. One for all writers at a time; that of `ago` moves of the hot keys before.
 */
function cold({ hotFrom, hot, all }: KeyRange, ago: number): number {
  const place = hotFrom + Math.floor(all / 2) - ago * Math.ceil(hot / 2);
  return 2 * Math.ceil((1 + (place % (all - 1))) / 2);
}

function note(random: Random): string {
  return random.pick(['', 'plain', "quote ' and \\ and \t", 'größer €', 'long '.repeat(40)]);
}

function range(random: Random, keys: KeyRange, kind: string, text: string): readonly Operation[] {
  const first = key(random, keys);
  return [operation(kind, text, [first, first + random.between(1, 12)])];
}

/** Two rows exchange their keys by way of a third, which no other transaction uses at the same time. */
function swap(random: Random, keys: KeyRange): readonly Operation[] {
  const [one, other, between] = [key(random, keys), key(random, keys), -random.between(1, 1_000_000_000)];
  if (one === other) return [];
  const move = (from: number, to: number): Operation => operation('swap', 'update torture.parent set id = $2 where id = $1', [from, to]); // prettier-ignore
  return [move(one, between), move(other, one), move(between, other)];
}
