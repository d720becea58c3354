import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { one, Pair } from './replay-pair.ts';

/** Values by type: each list is one column of the test table, as SQL expressions. */
const values: Readonly<Record<string, readonly string[]>> = {
  boolean: ['true', 'false'],
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  numeric: [
    "'NaN'",
    "'Infinity'",
    "'-Infinity'",
    '0.000',
    '1.0',
    '1.00',
    "'123456789012345678901234567890.123456789'",
    "repeat('9', 1000)::numeric",
    '1e-100',
  ],
  'numeric(10,3)': ['1.5', '-0.001'],
  real: ["'NaN'", "'-Infinity'", "'-0'", '1e-45', '3.4028235e38', '0.1'],
  'double precision': ["'NaN'", "'Infinity'", "'-0'", '5e-324', '1.7976931348623157e308', '0.1', '1/3.0'],
  money: ["'12.34'", "'-92233720368547758.08'"],
  text: ["''", "E'tab\\tnew\\nline\\\\ \\u00e9\\U0001F600'", "'\\N'", "repeat('x', 9000)"],
  'varchar(10)': ["''", "'ab  '"],
  'char(5)': ["'ab'", "'abcde'", "''"],
  '"char"': ["'a'", "''"],
  name: ["'n'", "repeat('n', 63)"],
  bytea: ["''", "'\\x00ff5c'", "decode(repeat('ab', 5000), 'hex')"],
  'bit(3)': ["b'101'", "b'000'"],
  'bit varying': ["b''", "b'10111'"],
  date: ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'5874897-12-31'", "'2020-02-29'"],
  time: ["'00:00'", "'24:00'", "'12:34:56.789012'"],
  timetz: ["'12:34:56.789012-15:59'", "'24:00+13'"],
  timestamp: ["'infinity'", "'-infinity'", "'4713-01-01 00:00 BC'", "'294276-12-31 23:59:59.999999'"],
  timestamptz: ["'infinity'", "'-infinity'", "'2020-06-01 12:34:56.789012+02'", "'0001-01-01 BC'"],
  interval: ["'1 year -2 mons 3 days -04:05:06.789'", "'178000000 years'", "'0'"],
  uuid: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
  json: ['\'{"a" : 1,  "a":2, "n":1.0e2}\'', "'null'", "' [ ] '"],
  jsonb: ['\'{"b":[1,2.50,null],"a":"x"}\'', '\'"s"\'', "'1e2'"],
  jsonpath: ["'$.a[*] ? (@ > 1)'"],
  xml: ['\'<a b="1">x</a>\'', '\'<?xml version="1.0" encoding="LATIN1"?><a>é</a>\'', "'just text <b/>'", "''"],
  tsvector: ["'a:1A fat:2,5B cat'::tsvector", "''"],
  tsquery: ["'fat & (rat | !cat:AB)'::tsquery"],
  inet: ["'10.1.2.3/8'", "'::1'", "'fe80::1/64'"],
  cidr: ["'10.0.0.0/8'", "'::/0'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  point: ["'(1.5,-0)'", "'(NaN,Infinity)'"],
  line: ["'{1,2,3}'"],
  lseg: ["'[(0,0),(1,1)]'"],
  box: ["'(2,2),(0,0)'"],
  path: ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
  polygon: ["'((0,0),(1,1),(2,0))'"],
  circle: ["'<(1,2),3>'"],
  int4range: ["'[1,5)'", "'empty'", "'(,)'"],
  int8range: ["'[,9223372036854775807)'"],
  numrange: ["'[1.0,1.00]'"],
  tsrange: ["'[2020-01-01,infinity)'"],
  tstzrange: ["'[2020-01-01 00:00+02,2020-06-01 00:00+02)'"],
  daterange: ["'[2020-01-01,2020-12-31]'"],
  int4multirange: ["'{[1,3),[5,7)}'", "'{}'"],
  tstzmultirange: ["'{[2020-01-01 00:00+02,2020-06-01 00:00+02)}'"],
  oid: ['4294967295'],
  regclass: ["'pg_class'", "'app.here'", '0'],
  regtype: ["'int4'"],
  regproc: ["'now'"],
  regrole: ["'postgres'"],
  regnamespace: ["'pg_catalog'"],
  pg_lsn: ["'16/B374D848'"],
  xid: ["'7'"],
  xid8: ["'18446744073709551615'"],
  tid: ["'(7,8)'"],
  pg_snapshot: ["'10:20:10,14,15'"],
  'integer[]': ["'{}'", "'{1,NULL,3}'", "'[0:1][2:3]={{1,2},{3,4}}'"],
  'text[]': ["array['', 'NULL', null, 'a\"b', 'c\\d', 'é']"],
  'numeric(6,2)[]': ["'{NaN,1.00,-2.50}'"],
  'char(3)[]': ["'{ab,abc}'"],
  'bytea[]': ["array['\\x00'::bytea, '']"],
  'timestamptz[]': ["array['2020-01-01 00:00+05'::timestamptz, 'infinity']"],
  'jsonb[]': ['array[\'{"a":1}\'::jsonb]'],
  'money[]': ["array['1.50'::money]"],
  'app.colour': ["'red'", "'sehr grün'"],
  'app.colour[]': ["'{red,NULL}'"],
  'app.positive': ['7'],
  'app.short[]': ["array['ab', 'abc']::app.short[]"],
  'app.pair': ["row(1, 'a,b\"c')::app.pair", 'row(null, null)::app.pair', "row(2, '')::app.pair"],
  'app.pair[]': ["array[row(1, 'x'), row(null, '(')]::app.pair[]"],
  'app.floats': ["'[1.5,2.5)'"],
  'app.ofcolour': ['\'[red,"sehr grün"]\''],
};
const types = Object.keys(values);

const schema = `create schema app; create table app.here (id int); create type app.colour as enum ('red', 'sehr grün'); create domain app.positive as int check (value > 0);
  create domain app.short as varchar(3); create type app.pair as (a int, b text); create type app.floats as range (subtype = float8); create type app.ofcolour as range (subtype = app.colour);
  create table t (id int primary key, ${types.map((type, place) => `c${place} ${type}`).join(', ')})`;

/** One row for each place in the longest list; shorter lists are filled with nulls. Row 0 has only nulls. */
function inserts(): string {
  const rows = Math.max(...Object.values(values).map((list) => list.length));
  const row = (n: number): string =>
    `(${[n, ...types.map((type) => (values[type]?.[n - 1] === undefined ? `null::${type}` : `(${values[type][n - 1]})::${type}`))].join(', ')})`;
  return Array.from({ length: rows + 1 }, (_, n) => `insert into t values ${row(n)}`).join(';');
}

/** Text under one setting and the stored bytes, as `pg_column_size` and `md5` of the binary form show them. */
const pinned = `set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; set extra_float_digits = 1; set lc_monetary = 'C'; set search_path = public`;

async function compare(pair: Pair): Promise<void> {
  await pair.source.query(pinned);
  await pair.target.query(pinned);
  for (const [place, type] of types.entries()) {
    const sql = `select id || ':' || coalesce(c${place}::text, 'NULL') from t order by id`;
    expect(await one(pair.target, sql), type).toEqual(await one(pair.source, sql));
  }
}

/** What databases may set: all that changes how values look. */
async function quarrel(pair: Pair): Promise<void> {
  const name = (url: string): string => url.replace(/.*\//, '');
  const set = (settings: readonly string[], database: string): string =>
    settings.map((setting) => `alter database ${database} set ${setting}`).join(';');
  await pair.source.query(
    set(
      [
        "datestyle = 'SQL, DMY'",
        "timezone = 'Asia/Kolkata'",
        "intervalstyle = 'sql_standard'",
        "bytea_output = 'escape'",
        'extra_float_digits = -10',
        "lc_monetary = 'C'",
        'search_path = app, public',
        'standard_conforming_strings = off',
        "xmloption = 'document'",
      ],
      name(pair.sourceUrl),
    ),
  );
  await pair.target.query(
    set(
      [
        "datestyle = 'German, YMD'",
        "timezone = 'America/New_York'",
        "intervalstyle = 'iso_8601'",
        "bytea_output = 'escape'",
        'extra_float_digits = 0',
        'search_path = nowhere',
        'array_nulls = off',
      ],
      name(pair.targetUrl),
    ),
  );
}

describe('values are the same at both ends', () => {
  let newest: PostgresServer;
  let oldest: PostgresServer;
  beforeAll(async () => {
    [newest, oldest] = await Promise.all([
      startPostgres({ name: 'types18' }),
      startPostgres({ name: 'types14', version: 14 }),
    ]);
  });
  afterAll(async () => {
    await newest[Symbol.asyncDispose]();
    await oldest[Symbol.asyncDispose]();
  });

  test.for([
    { from: 18, to: 18 },
    { from: 14, to: 18 },
    { from: 18, to: 14 },
  ])(
    'values of every type arrive byte for byte, by copy and by change, whatever the databases set: %o',
    async ({ from, to }) => {
      const at = (version: number): PostgresServer => (version === 18 ? newest : oldest);
      await using pair = await Pair.open({ server: at(from), targetServer: at(to), sql: schema });
      await quarrel(pair);
      await pair.source.query("set search_path = public; set timezone = 'UTC'; set datestyle = 'ISO, YMD'");
      await pair.source.query(inserts());
      await pair.add('t');
      expect((await pair.errors()).map((r) => [r.key, r.reason, r.message])).toEqual([]);
      await compare(pair);
      const versions = 'select xmin::text from t order by id';
      const before = await one(pair.target, versions);
      pair.run();
      // Equal values are found equal: nothing at the target is touched.
      await pair.change('update t set id = id');
      expect(await one(pair.target, versions)).toEqual(before);
      await pair.change(`update t set id = id + 100; ${inserts()}`);
      expect((await pair.errors()).map((r) => [r.key, r.reason, r.message])).toEqual([]);
      await compare(pair);
    },
  );

  test('a value of 8 MB arrives, and so do a thousand columns of text in one row', async () => {
    const wide = Array.from({ length: 1_000 }, (_, i) => `c${i} text`).join(', ');
    await using pair = await Pair.open({
      server: newest,
      sql: `create table big (id int primary key, x text, b bytea); create table wide (id int primary key, ${wide})`,
    });
    await pair.add('big', 'wide');
    pair.run();
    await pair.change(
      "insert into big select 1, string_agg(md5(i::text), ''), decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 262144) i; insert into wide (id, c999) values (1, 'last')",
    );
    const sql = 'select id::text || length(x) || md5(x) || length(b) || md5(b) from big';
    expect(await one(pair.target, sql)).toEqual(await one(pair.source, sql));
    await pair.expectEqual('wide');
  });
});
