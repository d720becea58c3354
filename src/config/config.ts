import { readFileSync } from 'node:fs';
import { PgrepError } from '../core/error.ts';
import { checkConfig } from './check.ts';
import { findJsonMistake } from './json-mistake.ts';
import type { Secret } from './secret.ts';

/** What `pgrep.json` says, checked, with variables put in and defaults filled in. */
export interface Config {
  /** The Postgres node that commands mean when `--from` is left out; always a key of `nodes`. */
  readonly home: string;
  /** By name, in the file's order; at least `home`. */
  readonly nodes: Readonly<Record<string, NodeConfig>>;
  readonly replayer: ReplayerConfig;
}

export interface ReplayerConfig {
  /** Most keys of one table in one batch. */
  readonly maxBatchRows: number;
  /** Longest sleep between two looks at a queue; the doorbell usually ends it at once. */
  readonly pollMs: number;
  /** Rows in one chunk of a copy. */
  readonly copyChunkRows: number;
  /** A change of a two-way route whose version is further ahead of the target's clock than this stops its link. */
  readonly maxClockSkewMs: number;
  /** Conflicts older than this are deleted from `pgrep.conflict`. */
  readonly conflictRetentionDays: number;
}

export type NodeConfig = PostgresNode | ElasticsearchNode;

export interface PostgresNode {
  readonly kind: 'postgres';
  /** A `postgres://` URL, with its password. */
  readonly postgres: Secret;
  /** Apply with `session_replication_role = replica` where the role may set it. */
  readonly replicaRole: boolean;
  /** 1 to 255, unique in the file; absent: `init` gives one. */
  readonly id?: number;
}

/** Either `apiKey`, or `username` and `password`, or none of them. */
export interface ElasticsearchNode {
  readonly kind: 'elasticsearch';
  /** An `http(s)://` URL without user and password (those of the file's URL are in the fields below). */
  readonly elasticsearch: string;
  readonly apiKey?: Secret;
  readonly username?: string;
  readonly password?: Secret;
  /** Absolute path of a PEM file. */
  readonly caFile?: string;
  /** SHA-256 of the certificate authority, hexadecimal. */
  readonly caFingerprint?: string;
}

/** Environment variables by name, as `process.env` has them. */
export type Env = Readonly<Record<string, string | undefined>>;

const example = '{"home": "local", "nodes": {"local": {"postgres": "${PGREP_LOCAL_URL}"}}}';

/** Reads and checks the file at `path`. Every mistake is a `PgrepError('config')` that says what to type. */
export function loadConfig(path: string, env: Env): Config {
  return parseConfig(readText(path), env, path);
}

/** Checks the text of a configuration; `path` is for messages and for paths relative to the file. */
export function parseConfig(text: string, env: Env, path: string): Config {
  const plain = text.replace(/^\uFEFF/, '');
  const mistake = findJsonMistake(plain);
  if (mistake !== null) {
    throw new PgrepError(
      'config',
      `${path} is not JSON: line ${mistake.line}, column ${mistake.column}: ${mistake.what}.`,
      {
        hint: mistake.hint,
      },
    );
  }
  return checkConfig(JSON.parse(plain), env, path);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    if (errno === 'ENOENT') {
      throw new PgrepError('config', `There is no configuration file ${path}.`, {
        hint: `Write one, for example ${example}, or say where it is with --config PATH or PGREP_CONFIG.`,
        cause,
      });
    }
    throw new PgrepError('config', `The configuration file ${path} cannot be read (${errno}).`, {
      hint:
        errno === 'EISDIR'
          ? `Name the file in it: --config ${path}/pgrep.json.`
          : `Make it readable: chmod u+r ${path}.`,
      cause,
    });
  }
}

/** Every text in the configuration that must not appear in a log, so that messages of drivers can be cleaned of them. */
export function secretTexts(config: Config): readonly string[] {
  return Object.values(config.nodes).flatMap((node) => {
    if (node.kind === 'elasticsearch') return [node.apiKey, node.password].flatMap((secret) => secret?.reveal() ?? []);
    const url = new URL(node.postgres.reveal());
    const inQuery = url.searchParams.get('password');
    return [node.postgres.reveal(), url.password, decodeURIComponent(url.password), inQuery ?? ''].filter(
      (text) => text !== '',
    );
  });
}
