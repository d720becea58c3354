import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { PgrepError } from '../core/error.ts';
import type { Config, ElasticsearchNode, Env, NodeConfig, PostgresNode } from './config.ts';
import { expandVariables } from './expand.ts';
import { nearest } from './nearest.ts';
import { elasticsearchNodeSchema, nodeNamePattern, postgresNodeSchema, topSchema } from './schema.ts';
import { Secret } from './secret.ts';
import { kindOf, showIssue } from './show-issue.ts';

/** Turns the parsed JSON of the file `path` into a configuration, or throws the first mistake. */
export function checkConfig(json: unknown, env: Env, path: string): Config {
  const file = new ConfigFile(env, path);
  if (!isObject(json))
    throw file.mistake(`The file holds ${kindOf(json)}`, 'Write an object: {"home": …, "nodes": {…}}.');
  if (isObject(json.nodes) && Object.keys(json.nodes).length === 0) {
    throw file.mistake(
      '"nodes" is empty',
      'Name at least the home node: "nodes": {"local": {"postgres": "postgres://…"}}.',
    );
  }
  const top = file.parse(topSchema, json, []);
  const nodes = Object.fromEntries(
    Object.entries(top.nodes).map(([name, node]) => [name, checkNode(file, name, node)]),
  );
  checkHome(file, top.home, nodes);
  checkIds(file, nodes);
  return { home: top.home, nodes, replayer: top.replayer };
}

/** The file that is being checked: puts variables in and words mistakes. */
class ConfigFile {
  readonly #env: Env;
  readonly path: string;

  constructor(env: Env, path: string) {
    this.#env = env;
    this.path = path;
  }

  mistake(what: string, hint: string): PgrepError {
    return new PgrepError('config', `${this.path}: ${what}.`, { hint });
  }

  /** Checks shape, then puts variables in: the schema is the one place that knows the keys. */
  parse<Schema extends z.ZodType>(schema: Schema, value: unknown, at: readonly string[]): z.output<Schema> {
    const result = schema.safeParse(this.#expand(value, at));
    if (result.success) return result.data;
    // A mistyped key also makes the right one missing: the typing is what to mend.
    const [first] = result.error.issues.toSorted((left, right) => rank(left.code) - rank(right.code));
    if (first === undefined) throw this.mistake('The file is not valid', 'Compare it with schema/pgrep.schema.json.');
    const { what, hint } = showIssue(first, { schema, value, at });
    throw this.mistake(what, hint);
  }

  /** Nodes are left alone while the top is checked: each is expanded with its own check. */
  #expand(value: unknown, at: readonly string[]): unknown {
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [
        key,
        typeof entry === 'string' ? this.#text(entry, [...at, key]) : entry,
      ]),
    );
  }

  #text(text: string, at: readonly string[]): string {
    const expanded = expandVariables(text, this.#env);
    if ('text' in expanded) return expanded.text;
    throw this.mistake(
      `"${at.join('.')}" needs the environment variable ${expanded.missing}, which is not set`,
      `Set it: export ${expanded.missing}=…`,
    );
  }
}

function checkNode(file: ConfigFile, name: string, node: unknown): NodeConfig {
  if (!nodeNamePattern.test(name)) {
    throw file.mistake(
      `"nodes" has the name ${JSON.stringify(name)}`,
      'Names are 1 to 63 of a-z, 0-9, "_" and "-", and begin with a letter or digit.',
    );
  }
  if (!isObject(node)) {
    throw file.mistake(
      `"nodes.${name}" is ${kindOf(node)}`,
      `Write "${name}": {"postgres": "postgres://…"} or {"elasticsearch": "https://…"}.`,
    );
  }
  const isPostgres = 'postgres' in node;
  if (isPostgres && 'elasticsearch' in node) {
    throw file.mistake(
      `"nodes.${name}" has both "postgres" and "elasticsearch"`,
      'A node is one of the two: write two nodes with a name each.',
    );
  }
  if (isPostgres) return postgresNode(file, name, node);
  if ('elasticsearch' in node) return elasticsearchNode(file, name, node);
  throw missingKind(file, name, node);
}

function missingKind(file: ConfigFile, name: string, node: Readonly<Record<string, unknown>>): PgrepError {
  for (const key of Object.keys(node)) {
    const meant = nearest(key, ['postgres', 'elasticsearch']);
    if (meant !== null) return file.mistake(`"nodes.${name}" has the unknown key "${key}"`, `Did you mean "${meant}"?`);
  }
  return file.mistake(
    `"nodes.${name}" does not say where it is`,
    'Add "postgres": "postgres://…" or "elasticsearch": "https://…".',
  );
}

function postgresNode(file: ConfigFile, name: string, node: unknown): PostgresNode {
  const at = ['nodes', name];
  const { postgres, replicaRole, id } = file.parse(postgresNodeSchema, node, at);
  checkUrl(file, `nodes.${name}.postgres`, postgres, ['postgres:', 'postgresql:']);
  return {
    kind: 'postgres',
    postgres: new Secret(postgres),
    replicaRole: replicaRole ?? true,
    ...(id === undefined ? {} : { id }),
  };
}

function elasticsearchNode(file: ConfigFile, name: string, node: unknown): ElasticsearchNode {
  const key = `nodes.${name}`;
  const raw = file.parse(elasticsearchNodeSchema, node, ['nodes', name]);
  const url = checkUrl(file, `${key}.elasticsearch`, raw.elasticsearch, ['http:', 'https:']);
  const inUrl = url.username !== '' || url.password !== '';
  if (inUrl && (raw.username !== undefined || raw.password !== undefined)) {
    throw file.mistake(
      `"${key}" names a user both in its URL and by "username" and "password"`,
      'Remove the one in the URL.',
    );
  }
  const username = inUrl ? decodeURIComponent(url.username) : raw.username;
  const password = inUrl ? decodeURIComponent(url.password) : raw.password;
  if (raw.apiKey !== undefined && (username !== undefined || password !== undefined)) {
    throw file.mistake(
      `"${key}" has an "apiKey" together with a user or password`,
      'Keep one way to sign in and remove the other.',
    );
  }
  if ((username === undefined) !== (password === undefined)) {
    const [has, lacks] = username === undefined ? ['password', 'username'] : ['username', 'password'];
    throw file.mistake(`"${key}" has "${has}" but no "${lacks}"`, `Add "${lacks}", or remove "${has}".`);
  }
  url.username = url.password = '';
  return {
    kind: 'elasticsearch',
    elasticsearch: url.href.replace(/\/$/, ''),
    ...(raw.apiKey === undefined ? {} : { apiKey: new Secret(raw.apiKey) }),
    ...(username === undefined || password === undefined ? {} : { username, password: new Secret(password) }),
    ...(raw.caFile === undefined ? {} : { caFile: resolve(dirname(file.path), raw.caFile) }),
    ...(raw.caFingerprint === undefined ? {} : { caFingerprint: raw.caFingerprint }),
  };
}

/** Says what is wrong without showing the URL: it may hold a password. */
function checkUrl(file: ConfigFile, key: string, text: string, schemes: readonly string[]): URL {
  const form = schemes[0] === 'postgres:' ? 'postgres://user:password@host:5432/database' : 'https://host:9200';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null)
    throw file.mistake(`"${key}" is not a URL`, `Write ${form}; in a password, write special characters as %XX.`);
  if (!schemes.includes(url.protocol)) {
    throw file.mistake(`"${key}" is a URL of another kind (${url.protocol}//)`, `Write ${form}.`);
  }
  try {
    decodeURIComponent(url.username + url.password + url.pathname);
  } catch {
    throw file.mistake(
      `"${key}" has a "%" in its user, password or path that begins no %XX`,
      'Write "%" itself as %25.',
    );
  }
  return url;
}

function checkHome(file: ConfigFile, home: string, nodes: Readonly<Record<string, NodeConfig>>): void {
  const node = Object.hasOwn(nodes, home) ? nodes[home] : undefined;
  if (node === undefined) {
    const meant = nearest(home, Object.keys(nodes));
    throw file.mistake(
      `"home" is "${home}", which "nodes" does not have`,
      meant === null ? `Write one of: ${Object.keys(nodes).join(', ')}.` : `Did you mean "${meant}"?`,
    );
  }
  if (node.kind !== 'postgres') {
    throw file.mistake(
      `"home" is "${home}", which is not a Postgres node`,
      'Name the Postgres node that changes come from.',
    );
  }
}

function checkIds(file: ConfigFile, nodes: Readonly<Record<string, NodeConfig>>): void {
  const owners = new Map<number, string>();
  for (const [name, node] of Object.entries(nodes)) {
    if (node.kind !== 'postgres' || node.id === undefined) continue;
    const owner = owners.get(node.id);
    if (owner !== undefined) {
      throw file.mistake(
        `"nodes.${owner}" and "nodes.${name}" have the same id ${node.id}`,
        'Give each node its own, 1 to 255.',
      );
    }
    owners.set(node.id, name);
  }
}

function rank(code: z.core.$ZodIssue['code']): number {
  return code === 'unrecognized_keys' ? 0 : 1;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
