import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig, parseConfig, secretTexts } from '../../src/config/config.ts';
import { configJsonSchema } from '../../src/config/schema.ts';
import { PgrepError } from '../../src/core/error.ts';

const local = '"local": {"postgres": "postgres://app:pw@db/shop"}';

/** The file's text with these nodes besides `local`, and these keys at the top. */
function file(nodes: string, top = ''): string {
  return `{"home": "local", "nodes": {${local}${nodes === '' ? '' : `, ${nodes}`}}${top === '' ? '' : `, ${top}`}}`;
}

/** Message and hint of the mistake, as the user sees them. */
function mistakeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof PgrepError && error.code === 'config') return `${error.message} | ${error.hint ?? ''}`;
    throw error;
  }
  return 'no mistake';
}

const known = 'postgres, replicaRole, id';
const knownEs = 'elasticsearch, apiKey, username, password, caFile, caFingerprint';

const mistakes: readonly (readonly [what: string, text: string, message: string])[] = [
  [
    'is empty',
    '',
    'is not JSON: line 1, column 1: the end of the file is not a value. | Values are texts in double quotes, numbers, true, false, {…} and […].',
  ],
  [
    'ends early',
    '{"home": "local"',
    'is not JSON: line 1, column 17: "," or "}" is missing before the end of the file. | Write "," between two entries and "}" after the last one.',
  ],
  [
    'lacks a comma',
    '{\n  "home": "local"\n  "nodes": {}\n}',
    'is not JSON: line 3, column 3: "," or "}" is missing before "nodes". | Write "," between two entries and "}" after the last one.',
  ],
  [
    'has a comma too many',
    '{"home": "local",\n}',
    'is not JSON: line 2, column 1: a value is missing between "," and "}". | Remove the comma after the last entry.',
  ],
  [
    'has a key without quotes',
    '{home: "local"}',
    'is not JSON: line 1, column 2: a key in double quotes is missing before home. | Write keys as "home".',
  ],
  [
    'has a key without a value',
    '{"home"}',
    'is not JSON: line 1, column 8: ":" is missing after the key "home". | Write "home": and the value.',
  ],
  [
    'has single quotes',
    `{"home": 'local'}`,
    `is not JSON: line 1, column 10: ' is not a value. | Values are texts in double quotes, numbers, true, false, {…} and […].`,
  ],
  [
    'has a text without an end',
    '{"home": "local}\n',
    'is not JSON: line 1, column 10: a text has no closing quote or a wrong escape. | End it with " on the same line; write \\ as \\\\.',
  ],
  [
    'has a comment',
    '{\n  // where we are\n  "home": "local"}',
    'is not JSON: line 2, column 3: JSON has no comments. | Remove the comment.',
  ],
  [
    'has a key twice',
    file(local),
    'is not JSON: line 1, column 81: the key "local" stands twice. | Remove one of the two.',
  ],
  [
    'goes on after its end',
    '{} {}',
    'is not JSON: line 1, column 4: there is text after the end. | Remove what stands after the last "}".',
  ],
  ['holds a list', '[]', ': The file holds a list. | Write an object: {"home": …, "nodes": {…}}.'],
  [
    'has no home',
    `{"nodes": {${local}}}`,
    ': "home" is missing. | Add it: The Postgres node that commands mean when --from is left out.',
  ],
  [
    'has a home of the wrong kind',
    `{"home": 1, "nodes": {${local}}}`,
    ': "home" is the number 1. | Write a text in double quotes.',
  ],
  [
    'has a mistyped home',
    `{"home": "locale", "nodes": {${local}}}`,
    ': "home" is "locale", which "nodes" does not have. | Did you mean "local"?',
  ],
  [
    'has a home that is no node',
    `{"home": "constructor", "nodes": {${local}}}`,
    ': "home" is "constructor", which "nodes" does not have. | Write one of: local.',
  ],
  [
    'has a home that is no Postgres node',
    `{"home": "es", "nodes": {${local}, "es": {"elasticsearch": "http://es:9200"}}}`,
    ': "home" is "es", which is not a Postgres node. | Name the Postgres node that changes come from.',
  ],
  [
    'has no nodes',
    '{"home": "local"}',
    ': "nodes" is missing. | Add it: The databases and clusters, by names of your choice.',
  ],
  [
    'has empty nodes',
    '{"home": "local", "nodes": {}}',
    ': "nodes" is empty. | Name at least the home node: "nodes": {"local": {"postgres": "postgres://…"}}.',
  ],
  ['has a list of nodes', '{"home": "local", "nodes": []}', ': "nodes" is a list. | Write an object {…}.'],
  [
    'has an unknown key',
    file('', '"replayr": {}'),
    ': "replayr" is not a key that pgrep knows. | Did you mean "replayer"?',
  ],
  [
    'has a key from elsewhere',
    file('', '"tables": []'),
    ': "tables" is not a key that pgrep knows. | Known here: home, nodes, replayer.',
  ],
  [
    'has an unknown key in a section',
    file('', '"replayer": {"pollMS": 3, "maxBatchRow": 1}'),
    ': "replayer.pollMS" is not a key that pgrep knows. | Did you mean "pollMs"?',
  ],
  [
    'has an unknown key in a Postgres node',
    file('"b": {"postgres": "postgres://b/x", "colour": 1}'),
    `: "nodes.b.colour" is not a key that pgrep knows. | Known here: ${known}.`,
  ],
  [
    'has an unknown key in an Elasticsearch node',
    file('"es": {"elasticsearch": "http://es:9200", "index": "x"}'),
    `: "nodes.es.index" is not a key that pgrep knows. | Known here: ${knownEs}.`,
  ],
  [
    'has a node name with a space',
    file('"my node": {"postgres": "postgres://b/x"}'),
    ': "nodes" has the name "my node". | Names are 1 to 63 of a-z, 0-9, "_" and "-", and begin with a letter or digit.',
  ],
  [
    'has a node that is a text',
    file('"b": "postgres://b:pw@h/x"'),
    ': "nodes.b" is a text. | Write "b": {"postgres": "postgres://…"} or {"elasticsearch": "https://…"}.',
  ],
  [
    'has a node of both kinds',
    file('"b": {"postgres": "postgres://b/x", "elasticsearch": "http://es:9200"}'),
    ': "nodes.b" has both "postgres" and "elasticsearch". | A node is one of the two: write two nodes with a name each.',
  ],
  [
    'has a node of no kind',
    file('"b": {"id": 3}'),
    ': "nodes.b" does not say where it is. | Add "postgres": "postgres://…" or "elasticsearch": "https://…".',
  ],
  [
    'has a node of a mistyped kind',
    file('"b": {"postgre": "postgres://b/x"}'),
    ': "nodes.b" has the unknown key "postgre". | Did you mean "postgres"?',
  ],
  [
    'needs a variable that is not set',
    file('"b": {"postgres": "postgres://${B_HOST}/x"}'),
    ': "nodes.b.postgres" needs the environment variable B_HOST, which is not set. | Set it: export B_HOST=…',
  ],
  [
    'needs a variable that is empty',
    file('"b": {"postgres": "${EMPTY}"}'),
    ': "nodes.b.postgres" needs the environment variable EMPTY, which is not set. | Set it: export EMPTY=…',
  ],
  [
    'has libpq words for a URL',
    file('"b": {"postgres": "host=db password=pw"}'),
    ': "nodes.b.postgres" is not a URL. | Write postgres://user:password@host:5432/database; in a password, write special characters as %XX.',
  ],
  [
    'has a URL of another kind',
    file('"b": {"postgres": "mysql://u:pw@db/x"}'),
    ': "nodes.b.postgres" is a URL of another kind (mysql://). | Write postgres://user:password@host:5432/database.',
  ],
  [
    'has a stray % in a URL',
    file('"b": {"postgres": "postgres://u:100%@db/x"}'),
    ': "nodes.b.postgres" has a "%" in its user, password or path that begins no %XX. | Write "%" itself as %25.',
  ],
  [
    'has a bad Elasticsearch URL',
    file('"es": {"elasticsearch": "es:9200"}'),
    ': "nodes.es.elasticsearch" is a URL of another kind (es://). | Write https://host:9200.',
  ],
  [
    'has an empty URL',
    file('"b": {"postgres": ""}'),
    ': "nodes.b.postgres" is empty. | Connection URL, postgres://user:password@host:5432/database. Write ${NAME} to take it from the environment.',
  ],
  [
    'has an API key and a password',
    file('"es": {"elasticsearch": "http://es:9200", "apiKey": "k", "username": "u", "password": "pw"}'),
    ': "nodes.es" has an "apiKey" together with a user or password. | Keep one way to sign in and remove the other.',
  ],
  [
    'has a user without a password',
    file('"es": {"elasticsearch": "http://es:9200", "username": "u"}'),
    ': "nodes.es" has "username" but no "password". | Add "password", or remove "username".',
  ],
  [
    'has a password without a user',
    file('"es": {"elasticsearch": "http://es:9200", "password": "pw"}'),
    ': "nodes.es" has "password" but no "username". | Add "username", or remove "password".',
  ],
  [
    'has users in two places',
    file('"es": {"elasticsearch": "http://u:pw@es:9200", "username": "u", "password": "pw"}'),
    ': "nodes.es" names a user both in its URL and by "username" and "password". | Remove the one in the URL.',
  ],
  [
    'has a short fingerprint',
    file('"es": {"elasticsearch": "https://es:9200", "caFingerprint": "AB:CD"}'),
    ': "nodes.es.caFingerprint" has a wrong form. | SHA-256 fingerprint of the certificate authority, in hexadecimal.',
  ],
  [
    'has an id of 0',
    file('"b": {"postgres": "postgres://b/x", "id": 0}'),
    ': "nodes.b.id" is the number 0. | Write at least 1.',
  ],
  [
    'has an id of 256',
    file('"b": {"postgres": "postgres://b/x", "id": 256}'),
    ': "nodes.b.id" is the number 256. | Write at most 255.',
  ],
  [
    'has an id that is a text',
    file('"b": {"postgres": "postgres://b/x", "id": "2"}'),
    ': "nodes.b.id" is a text. | Write a number.',
  ],
  [
    'has an id that is a fraction',
    file('"b": {"postgres": "postgres://b/x", "id": 1.5}'),
    ': "nodes.b.id" is the number 1.5. | Write a whole number.',
  ],
  [
    'has an id twice',
    file('"b": {"postgres": "postgres://b/x", "id": 2}, "c": {"postgres": "postgres://c/x", "id": 2}'),
    ': "nodes.b" and "nodes.c" have the same id 2. | Give each node its own, 1 to 255.',
  ],
  [
    'has a flag that is a text',
    file('"b": {"postgres": "postgres://b/x", "replicaRole": "no"}'),
    ': "nodes.b.replicaRole" is a text. | Write true or false.',
  ],
  [
    'has a number that is null',
    file('', '"replayer": {"pollMs": null}'),
    ': "replayer.pollMs" is null. | Write a number.',
  ],
  [
    'has a number that is too small',
    file('', '"replayer": {"pollMs": 1}'),
    ': "replayer.pollMs" is the number 1. | Write at least 10.',
  ],
];

describe('the configuration file', () => {
  test.each(mistakes)('says what to mend when it %s', (_what, text, message) => {
    const said = mistakeOf(() => parseConfig(text, { EMPTY: '' }, 'pgrep.json'));
    expect(said.replace('pgrep.json is not', 'is not').replace('pgrep.json:', ':')).toBe(message);
    expect(said).not.toContain('pw');
  });

  test('gives every default', () => {
    const config = parseConfig(file(''), {}, 'pgrep.json');
    expect(JSON.parse(JSON.stringify(config))).toEqual({
      home: 'local',
      nodes: { local: { kind: 'postgres', postgres: '[secret]', replicaRole: true } },
      replayer: {
        maxBatchRows: 200_000,
        pollMs: 1000,
        copyChunkRows: 20_000,
        maxClockSkewMs: 300_000,
        conflictRetentionDays: 30,
      },
    });
  });

  test('takes variables from the environment, and "$${" for a literal "${"', () => {
    const text = file('"es": {"elasticsearch": "http://${ES}:9200/", "username": "u", "password": "$${x}"}');
    const { es } = parseConfig(text, { ES: 'search' }, 'pgrep.json').nodes;
    expect(es).toMatchObject({ elasticsearch: 'http://search:9200' });
    expect(es?.kind === 'elasticsearch' ? es.password?.reveal() : '').toBe('${x}');
  });

  test('moves user and password out of an Elasticsearch URL and resolves caFile beside the file', () => {
    const text = file('"es": {"elasticsearch": "https://elastic:p%40ss@es:9200", "caFile": "ca.pem"}');
    const { es } = parseConfig(text, {}, '/etc/pgrep/pgrep.json').nodes;
    expect(es).toMatchObject({ elasticsearch: 'https://es:9200', username: 'elastic', caFile: '/etc/pgrep/ca.pem' });
    expect(es?.kind === 'elasticsearch' ? es.password?.reveal() : '').toBe('p@ss');
  });

  test('never shows its secrets, however it is printed', () => {
    const text = `{"home": "a", "nodes": {"a": {"postgres": "postgres://u:geheim@h/d"}, "es": {"elasticsearch": "http://es", "apiKey": "schluessel"}}}`;
    const config = parseConfig(text, {}, 'pgrep.json');
    const printed = [
      inspect(config, { depth: 9, showHidden: true }),
      JSON.stringify(config),
      config.nodes.a?.kind === 'postgres' ? config.nodes.a.postgres.toString() : '',
    ];
    for (const shown of printed) expect(shown).not.toMatch(/geheim|schluessel/);
    expect(secretTexts(config)).toEqual(expect.arrayContaining(['geheim', 'schluessel']));
  });

  test('has an up-to-date JSON Schema in schema/ (npm run schema writes it)', () => {
    const stored = readFileSync(new URL('../../schema/pgrep.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(stored)).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });
});

describe('loading the configuration file', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pgrep-config-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('says where a missing file could be named', () => {
    expect(mistakeOf(() => loadConfig('nowhere/pgrep.json', {}))).toBe(
      'There is no configuration file nowhere/pgrep.json. | Write one, for example {"home": "local", "nodes": {"local": {"postgres": "${PGREP_LOCAL_URL}"}}}, or say where it is with --config PATH or PGREP_CONFIG.',
    );
  });

  test('says that a folder is not a file', () => {
    expect(mistakeOf(() => loadConfig(folder, {}))).toBe(
      `The configuration file ${folder} cannot be read (EISDIR). | Name the file in it: --config ${folder}/pgrep.json.`,
    );
  });

  test('reads a file with a byte order mark', () => {
    const path = join(folder, 'bom.json');
    writeFileSync(path, `\uFEFF${file('')}`);
    expect(loadConfig(path, {}).home).toBe('local');
  });
});
