import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Route } from '../../src/core/route.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { sharedElasticsearch } from '../support/shared-elasticsearch.ts';
import { ElasticsearchLink } from './elasticsearch-link.ts';

/** Column, its type, a value as SQL, the value in the document, what its field is mapped to. */
const cases: readonly (readonly [string, string, string, string, string])[] = [
  ['a_bool', 'bool', 'true', 'true', 'boolean'],
  ['a_int2', 'int2', '-32768', '-32768', 'short'],
  ['a_int4', 'int4', '2147483647', '2147483647', 'integer'],
  ['a_int8', 'int8', '9223372036854775807', '9223372036854775807', 'long'],
  ['a_oid', 'oid', '4294967295', '4294967295', 'long'],
  ['a_float4', 'float4', '1.1', '1.1', 'float'],
  ['a_float8', 'float8', '0.1', '0.1', 'double'],
  ['a_float8_nan', 'float8', "'NaN'", '"NaN"', 'double'],
  ['a_float8_inf', 'float8', "'-Infinity'", '"-Infinity"', 'double'],
  [
    'a_numeric',
    'numeric',
    '12345678901234567890.123456789012345678900',
    '12345678901234567890.123456789012345678900',
    'double',
  ],
  ['a_numeric_nan', 'numeric', "'NaN'", '"NaN"', 'double'],
  ['a_numeric_inf', 'numeric', "'Infinity'", '"Infinity"', 'double'],
  ['a_numeric_big', 'numeric', '1e2000', `"1${'0'.repeat(2000)}"`, 'double'],
  ['a_numeric_e305', 'numeric', "'1e305'", `"1${'0'.repeat(305)}"`, 'double'],
  ['a_numeric_e309', 'numeric(400,2)', "'1e309'", `1${'0'.repeat(309)}.00`, 'double'],
  [
    'a_text',
    'text',
    `E'quote " backslash \\\\ tab \\t line\\nnext \\u0001 \\u2028 ünï 🙂'`,
    JSON.stringify('quote " backslash \\ tab \t line\nnext \u0001 \u2028 ünï 🙂'),
    'text',
  ],
  ['a_text_long', 'text', "repeat('ü', 40000)", `"${'ü'.repeat(40_000)}"`, 'text'],
  ['a_varchar', 'varchar(10)', "'x'", '"x"', 'text'],
  ['a_bpchar', 'char(3)', "'x'", '"x  "', 'text'],
  ['a_name', 'name', "'n'", '"n"', 'keyword'],
  ['a_uuid', 'uuid', "'5f0c4a3e-0000-4000-8000-000000000001'", '"5f0c4a3e-0000-4000-8000-000000000001"', 'keyword'],
  ['a_enum', 'mood', "'so so'", '"so so"', 'keyword'],
  ['a_domain', 'positive', '7', '7', 'integer'],
  ['a_date', 'date', "'2024-02-29'", '"2024-02-29"', 'date'],
  ['a_date_inf', 'date', "'infinity'", '"infinity"', 'date'],
  ['a_date_bc', 'date', "'0044-03-15 BC'", '"0044-03-15 BC"', 'date'],
  ['a_timestamp', 'timestamp', "'2024-02-29 12:34:56.789012'", '"2024-02-29T12:34:56.789012"', 'date'],
  ['a_timestamp_inf', 'timestamp', "'-infinity'", '"-infinity"', 'date'],
  ['a_timestamptz', 'timestamptz', "'2024-02-29 12:34:56.789012+05:30'", '"2024-02-29T07:04:56.789012Z"', 'date'],
  ['a_timestamptz_inf', 'timestamptz', "'infinity'", '"infinity"', 'date'],
  ['a_timestamptz_far', 'timestamptz', "'20000-01-01 00:00:00+00'", '"20000-01-01T00:00:00"', 'date'],
  ['a_time', 'time', "'24:00:00'", '"24:00:00"', 'keyword'],
  ['a_timetz', 'timetz', "'01:02:03.5+05:30'", '"01:02:03.5+05:30"', 'keyword'],
  ['a_interval', 'interval', "'1 year 2 days 00:00:03'", '"1 year 2 days 00:00:03"', 'keyword'],
  [
    'a_json',
    'json',
    `E'{"b" :\\r\\n\\t[1.50, null],\\n"a": 12345678901234567890}'`,
    '{"b" :  \t[1.50, null], "a": 12345678901234567890}',
    'object',
  ],
  ['a_json_scalar', 'json', `'"text"'`, '"text"', 'object'],
  ['a_jsonb', 'jsonb', `'[{"deep": {"er": 1.00}}, "x"]'`, '[{"deep": {"er": 1.00}}, "x"]', 'object'],
  ['a_jsons', 'json[]', `array[E'{"a":\\n1}', '2']::json[]`, '[{"a": 1},2]', 'object'],
  [
    'a_bytea',
    'bytea',
    "decode(repeat('00ff7b0a', 40), 'hex')",
    `"${Buffer.from('00ff7b0a'.repeat(40), 'hex').toString('base64')}"`,
    'binary',
  ],
  ['a_inet', 'inet', "'10.1.2.3'", '"10.1.2.3"', 'ip'],
  ['a_inet_net', 'inet', "'10.1.2.3/24'", '"10.1.2.3/24"', 'ip'],
  ['a_inet6', 'inet', "'2001:db8::1'", '"2001:db8::1"', 'ip'],
  ['a_cidr', 'cidr', "'10.0.0.0/8'", '"10.0.0.0/8"', 'ip_range'],
  ['a_macaddr', 'macaddr', "'08:00:2b:01:02:03'", '"08:00:2b:01:02:03"', 'keyword'],
  ['a_bit', 'bit varying', "B'101'", '"101"', 'keyword'],
  ['a_money', 'money', "'12.34'", '"$12.34"', 'keyword'],
  ['a_point', 'point', "'(1,2)'", '"(1,2)"', 'keyword'],
  ['a_box', 'box', "'(3,4),(1,2)'", '"(3,4),(1,2)"', 'keyword'],
  ['a_tsvector', 'tsvector', "'a:1 b:2'", `"'a':1 'b':2"`, 'keyword'],
  ['a_xml', 'xml', "'<a/>'", '"<a/>"', 'keyword'],
  ['a_lsn', 'pg_lsn', "'0/16'", '"0/16"', 'keyword'],
  ['a_vector', 'int2vector', "'1 2'", '"1 2"', 'keyword'],
  [
    'a_keyword_long',
    'tsvector',
    "(select string_agg('w' || g, ' ')::tsvector from generate_series(1, 9000) g)",
    '',
    'keyword',
  ],
  ['a_ints', 'int4[]', "'{{1,2},{3,null}}'", '[[1,2],[3,null]]', 'integer'],
  ['a_texts', 'text[]', '\'{"a,b",null}\'', '["a,b",null]', 'text'],
  ['a_numerics', 'numeric[]', "'{1.10,NaN}'", '[1.10,"NaN"]', 'double'],
  [
    'a_instants',
    'timestamptz[]',
    "'{2024-01-01 00:00:00+01,null,infinity}'",
    '["2023-12-31T23:00:00Z", null, "infinity"]',
    'date',
  ],
  ['a_byteas', 'bytea[]', `array['\\x00'::bytea, null]`, '["AA==", null]', 'binary'],
  ['a_points', 'point[]', `'{"(1,2)"}'`, '["(1,2)"]', 'keyword'],
  ['a_empty', 'timestamptz[]', "'{}'", '[]', 'date'],
  ['a_enums', 'mood[]', '\'{ok,"so so"}\'', '["ok","so so"]', 'keyword'],
  ['a_int4range', 'int4range', "'[1,5)'", '{"gte":1,"lt":5}', 'integer_range'],
  ['a_int8range', 'int8range', "'(,9007199254740993]'", '{"lt":9007199254740994}', 'long_range'],
  ['a_numrange', 'numrange', "'(1.10,2.200]'", '{"gt":1.10,"lte":2.200}', 'double_range'],
  ['a_numrange_big', 'numrange', "'[1,1e400]'", '{"gte":1}', 'double_range'],
  [
    'a_numrange_narrow',
    'numrange',
    "'(1.00000000000000000001,1.00000000000000000002)'",
    '{"gte":1.00000000000000000001,"lte":1.00000000000000000002}',
    'double_range',
  ],
  ['a_range_empty', 'int4range', "'empty'", 'null', 'integer_range'],
  ['a_range_all', 'int4range', "'(,)'", '{}', 'integer_range'],
  ['a_daterange', 'daterange', "'[2024-01-01,infinity]'", '{"gte":"2024-01-01"}', 'date_range'],
  ['a_daterange_bc', 'daterange', "'[0044-01-01 BC,0044-03-01 BC)'", 'null', 'date_range'],
  [
    'a_tsrange',
    'tsrange',
    "'[2024-01-01 00:00,2024-01-02 00:00:00.5)'",
    '{"gte":"2024-01-01T00:00:00","lt":"2024-01-02T00:00:00.5"}',
    'date_range',
  ],
  [
    'a_tstzrange',
    'tstzrange',
    "'[2024-01-01 00:00+01,2024-01-01 00:00:00.0001+01)'",
    '{"gte":"2023-12-31T23:00:00Z","lte":"2023-12-31T23:00:00.0001Z"}',
    'date_range',
  ],
  ['a_floatrange', 'floatrange', "'[-1.7e308,Infinity)'", '{"gte":-1.7e+308}', 'double_range'],
  ['a_inetrange', 'inetrange', "'[10.0.0.1,10.0.0.9]'", '"[10.0.0.1,10.0.0.9]"', 'keyword'],
  ['a_multirange', 'int4multirange', "'{[1,3),[5,)}'", '[{"gte":1,"lt":3}, {"gte":5}]', 'integer_range'],
  [
    'a_ranges',
    'int4range[]',
    "array['[1,3)'::int4range, 'empty', null]",
    '[{"gte":1,"lt":3}, null, null]',
    'integer_range',
  ],
  ['a_composite', 'plain_pair', "row(1, 'x')", '{"n":1,"t":"x"}', 'object'],
  [
    'a_composite_deep',
    'deep',
    `row('2024-01-01 00:00+01', row(2, null), '\\x01', null)`,
    '{"at" : "2023-12-31T23:00:00Z", "pair" : {"n":2,"t":null}, "raw \\"q\\"" : "AQ==", "many" : null}',
    'object',
  ],
  [
    'a_composites',
    'deep[]',
    `array[row(null, null, '\\x02', array['2024-01-01 00:00+00'::timestamptz])::deep]`,
    '[{"at" : null, "pair" : null, "raw \\"q\\"" : "Ag==", "many" : ["2024-01-01T00:00:00Z"]}]',
    'object',
  ],
  ['a_null', 'timestamptz', 'null', 'null', 'date'],
  ['a_null_range', 'tstzrange', 'null', 'null', 'date_range'],
  ['a_null_composite', 'deep', 'null', 'null', 'object'],
  ['A "quoted" Ünïcode', 'int4', '1', '1', 'integer'],
];

describe('every type in Elasticsearch', () => {
  let postgres: PostgresServer;
  let link: ElasticsearchLink;
  let route: Route;

  beforeAll(async () => {
    const elasticsearch = await sharedElasticsearch();
    postgres = await startPostgres({ settings: { timezone: 'Asia/Kolkata', datestyle: 'German, DMY' } });
    link = await ElasticsearchLink.open(await postgres.createDatabase('types'), { url: elasticsearch.url });
    await link.http('DELETE', '/every_type');
    await link.state.script(`create type mood as enum ('ok', 'so so');
      create domain positive as int4 check (value > 0);
      create type plain_pair as (n int4, t text);
      create type deep as (at timestamptz, pair plain_pair, "raw ""q""" bytea, many timestamptz[]);
      create type floatrange as range (subtype = float8);
      create type inetrange as range (subtype = inet);`);
    const columns = cases.map(([name, type]) => `"${name.replaceAll('"', '""')}" ${type}`);
    await link.state.script(`create table every_type (id int4 primary key, ${columns.join(', ')})`);
    await link.state.script(
      `insert into every_type values (1, ${cases.map(([, type, value]) => `(${value})::${type}`).join(', ')})`,
    );
    route = await link.route('every_type');
    await link.target.prepare([route], link.signal);
  });

  afterAll(async () => {
    await link[Symbol.asyncDispose]();
    await postgres[Symbol.asyncDispose]();
  });

  test('a row of all types is taken without one refusal, and its values stand exactly in _source', async () => {
    const applied = await link.sync([link.changed(route)]);
    expect(link.held).toEqual([]);
    expect(applied).toEqual({ committed: true, keys: 1, held: 0 });
    const text = (await link.document('every_type', '1'))?.text ?? '';
    const wrong = cases.filter(
      ([name, , , expected]) => expected !== '' && !text.includes(`${JSON.stringify(name)}:${expected}`),
    );
    expect(wrong.map(([name, , , expected]) => ({ name, expected, found: near(text, name) }))).toEqual([]);
  });

  test('each column has the mapping of its type, and the mapping is strict', async () => {
    const answer = await link.http('GET', '/every_type/_mapping');
    const mappings = (
      answer['every_type'] as { mappings: { dynamic: string; properties: Record<string, { type?: string }> } }
    ).mappings;
    expect(mappings.dynamic).toBe('strict');
    expect(cases.map(([name]) => [name, mappings.properties[name]?.type ?? 'object'])).toEqual(
      cases.map(([name, , , , type]) => [name, type]),
    );
  });

  test.each([
    ['a_int8', { term: { a_int8: '9223372036854775807' } }],
    ['a_numeric', { range: { a_numeric: { gt: 1e19, lt: 2e19 } } }],
    ['text', { match: { a_text: 'backslash' } }],
    ['keyword sub-field', { term: { 'a_varchar.keyword': 'x' } }],
    ['timestamptz', { range: { a_timestamptz: { gte: '2024-02-29T07:04:56Z', lt: '2024-02-29T07:04:57Z' } } }],
    ['inet', { term: { a_inet: '10.1.0.0/16' } }],
    ['inet as text', { term: { 'a_inet_net.keyword': '10.1.2.3/24' } }],
    ['cidr', { term: { a_cidr: '10.200.0.1' } }],
    ['array', { term: { a_ints: 3 } }],
    ['range', { term: { a_int4range: 4 } }],
    ['multirange', { term: { a_multirange: 1000 } }],
    ['composite', { term: { 'a_composite.n': 1 } }],
    ['enum', { term: { a_enum: 'so so' } }],
  ])('%s can be searched', async (_name, query) => {
    expect(await link.count('every_type', query)).toBe(1);
  });

  test('a range does not find what is outside of it', async () => {
    expect(await link.count('every_type', { term: { a_int4range: 5 } })).toBe(0);
  });

  test('preparing again finds the index good', async () => {
    await expect(link.target.prepare([route], link.signal)).resolves.toBeUndefined();
  });
});

function near(text: string, name: string): string {
  const at = text.indexOf(`${JSON.stringify(name)}:`);
  return at < 0 ? 'absent' : text.slice(at, at + 200);
}
