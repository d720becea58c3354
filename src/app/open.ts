import type { Config, ElasticsearchNode, PostgresNode } from '../config/config.ts';
import type { OnBatch } from '../core/applied-batch.ts';
import { PgrepError } from '../core/error.ts';
import { silentLogger, type Logger } from '../core/logger.ts';
import type { Link } from '../core/route.ts';
import { isListening } from '../db/listening.ts';
import { openSession, type Session } from '../db/session.ts';
import type { LinkConnections } from '../replayer/link-opening.ts';
import { openElasticsearchTarget } from '../targets/elasticsearch/open.ts';
import { openPostgresTarget } from '../targets/postgres/postgres-target.ts';

export interface OpenOptions {
  readonly config: Config;
  readonly logger?: Logger;
  /** Is told of each batch that the daemon commits. */
  readonly onBatch?: OnBatch;
}

/** What every use case works with: the configuration and the way to its nodes. Connections open when they are first needed. */
export interface App extends AsyncDisposable {
  readonly config: Config;
  readonly logger: Logger;
  readonly onBatch: OnBatch;
  /** A session that the use cases share; closed with the app. */
  session(node: string): Promise<Session>;
  /** A session of the caller's own, for transactions of several statements and for locks; the caller closes it. */
  ownSession(node: string): Promise<Session>;
  /** How a link opens what it needs, each time anew. */
  connections(link: Link): LinkConnections;
}

/** Opens the application. Does not connect to anything yet. */
export function openApp(options: OpenOptions): App {
  return new PgrepApp(options);
}

class PgrepApp implements App {
  readonly config: Config;
  readonly logger: Logger;
  readonly onBatch: OnBatch;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(options: OpenOptions) {
    this.config = options.config;
    this.logger = options.logger ?? silentLogger;
    this.onBatch = options.onBatch ?? (() => undefined);
  }

  async session(node: string): Promise<Session> {
    const open = await this.#sessions.get(node);
    if (open !== undefined && !open.lost.aborted) return open;
    const opening = this.ownSession(node);
    this.#sessions.set(node, opening);
    opening.catch(() => this.#sessions.delete(node));
    return opening;
  }

  ownSession(node: string): Promise<Session> {
    return openSession({ node, url: postgresNode(this.config, node).postgres.reveal() });
  }

  connections(link: Link): LinkConnections {
    const source = postgresNode(this.config, link.source);
    return {
      openSource: () => openSession({ node: link.source, url: source.postgres.reveal() }),
      targetListens: () => {
        const node = configuredNode(this.config, link.target);
        return node.kind === 'postgres'
          ? isListening(node.postgres.reveal(), 5432)
          : isListening(node.elasticsearch, node.elasticsearch.startsWith('https:') ? 443 : 80);
      },
      openTarget: async (session) => {
        const node = configuredNode(this.config, link.target);
        if (node.kind === 'elasticsearch')
          return openElasticsearchTarget({
            link,
            node: elasticsearchAddress(node),
            source: await session,
            logger: this.logger,
          });
        const address = { node: link.target, url: node.postgres.reveal() };
        return openPostgresTarget({
          link,
          address,
          replicaRole: node.replicaRole,
          maxClockSkewMs: this.config.replayer.maxClockSkewMs,
          logger: this.logger,
        });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.#sessions.values()) await (await opening.catch(() => null))?.[Symbol.asyncDispose]();
  }
}

/** The node of a name; throws `usage` when the configuration has none. */
export function configuredNode(config: Config, name: string): PostgresNode | ElasticsearchNode {
  const node = config.nodes[name];
  if (node !== undefined) return node;
  throw new PgrepError('usage', `There is no node ${name} in the configuration.`, {
    hint: `Its nodes are: ${Object.keys(config.nodes).join(', ')}.`,
  });
}

/** The same for a node that must be Postgres: a source, or one that takes sessions. */
export function postgresNode(config: Config, name: string): PostgresNode {
  const node = configuredNode(config, name);
  if (node.kind === 'postgres') return node;
  throw new PgrepError('usage', `Node ${name} is Elasticsearch; a Postgres node is needed here.`, {
    hint: `Postgres nodes of the configuration: ${postgresNames(config).join(', ')}.`,
  });
}

/** Names of all Postgres nodes, in the order of the file. */
export function postgresNames(config: Config): readonly string[] {
  return Object.entries(config.nodes).flatMap(([name, node]) => (node.kind === 'postgres' ? [name] : []));
}

function elasticsearchAddress(node: ElasticsearchNode): Parameters<typeof openElasticsearchTarget>[0]['node'] {
  return {
    url: node.elasticsearch,
    ...(node.apiKey === undefined ? {} : { apiKey: node.apiKey.reveal() }),
    ...(node.username === undefined ? {} : { username: node.username }),
    ...(node.password === undefined ? {} : { password: node.password.reveal() }),
    ...(node.caFile === undefined ? {} : { caFile: node.caFile }),
    ...(node.caFingerprint === undefined ? {} : { caFingerprint: node.caFingerprint }),
  };
}
