import { z } from 'zod';

/** Names of nodes: they become part of lock names, table contents and log lines. */
export const nodeNamePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

const secretNote = 'Write ${NAME} to take it from the environment.';

/** A Postgres node as it stands in the file. */
export const postgresNodeSchema = z.strictObject({
  postgres: z.string().min(1).describe(`Connection URL, postgres://user:password@host:5432/database. ${secretNote}`),
  replicaRole: z
    .boolean()
    .optional()
    .describe('Apply with session_replication_role = replica where the role may set it. Default true.'),
  id: z.int().min(1).max(255).optional().describe('Number of the node, part of every version. Default: given by init.'),
});

/** An Elasticsearch node as it stands in the file. */
export const elasticsearchNodeSchema = z.strictObject({
  elasticsearch: z.string().min(1).describe('URL of the cluster, https://host:9200.'),
  apiKey: z.string().min(1).optional().describe(`API key, base64 as Elasticsearch gives it. ${secretNote}`),
  username: z.string().min(1).optional().describe('User, together with password.'),
  password: z.string().min(1).optional().describe(`Password, together with username. ${secretNote}`),
  caFile: z.string().min(1).optional().describe('PEM file of the certificate authority, relative to this file.'),
  caFingerprint: z
    .string()
    .regex(/^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/)
    .optional()
    .describe('SHA-256 fingerprint of the certificate authority, in hexadecimal.'),
});

const replayerSchema = z
  .strictObject({
    maxBatchRows: z.int().min(1).default(200_000).describe('Most keys of one table in one batch. Default 200000.'),
    pollMs: z.int().min(10).default(1000).describe('Longest sleep between looks at a queue, in ms. Default 1000.'),
    copyChunkRows: z
      .int()
      .min(1)
      .default(20_000)
      .describe(
        'Rows in the first chunk of a copy; chunks grow to ten times that while they are quick. Default 20000.',
      ),
    maxClockSkewMs: z
      .int()
      .min(0)
      .default(300_000)
      .describe('A change whose version is further ahead of the clock, in ms, stops its link. Default 300000.'),
    conflictRetentionDays: z
      .int()
      .min(1)
      .default(30)
      .describe('How long a conflict is kept in pgrep.conflict, in days. Default 30.'),
  })
  .describe('How the replayers of this machine work.');

const nodesNote = 'The databases and clusters, by names of your choice.';

/** The file but for its nodes, which are checked one by one by their kind. */
export const topSchema = z.strictObject({
  $schema: z.string().optional(),
  home: z.string().describe('The Postgres node that commands mean when --from is left out.'),
  nodes: z.record(z.string(), z.unknown()).describe(nodesNote),
  replayer: replayerSchema.default(() => replayerSchema.parse({})),
});

/** The JSON Schema of `pgrep.json`, for editors: `schema/pgrep.schema.json` holds it. */
export function configJsonSchema(): object {
  const whole = topSchema.extend({
    nodes: z
      .record(z.string().regex(nodeNamePattern), z.union([postgresNodeSchema, elasticsearchNodeSchema]))
      .describe(nodesNote),
  });
  return { title: 'pgrep.json', ...z.toJSONSchema(whole, { io: 'input' }) };
}
