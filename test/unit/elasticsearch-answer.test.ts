import { describe, expect, test } from 'vitest';
import {
  judgeItem,
  judgeRequest,
  type ItemVerdict,
  type RequestVerdict,
} from '../../src/targets/elasticsearch/answer.ts';
import { Cluster } from '../../src/targets/elasticsearch/cluster.ts';

describe('what an answer to a bulk request means', () => {
  test.each<[number, RequestVerdict]>([
    [200, 'items'],
    [400, 'poisoned'],
    [401, 'denied'],
    [403, 'denied'],
    [404, 'missing'],
    [405, 'unexpected'],
    [408, 'down'],
    [413, 'tooLarge'],
    [429, 'overloaded'],
    [500, 'down'],
    [502, 'down'],
    [503, 'down'],
    [504, 'down'],
    [301, 'unexpected'],
    [0, 'unexpected'],
  ])('status %i of a whole request: %s', (status, verdict) => {
    expect(judgeRequest(status)).toBe(verdict);
  });

  test.each<[number, string | undefined, ItemVerdict]>([
    [200, undefined, 'done'],
    [201, undefined, 'done'],
    [404, undefined, 'done'],
    [409, 'version_conflict_engine_exception', 'done'],
    [404, 'index_not_found_exception', 'missing'],
    [400, 'document_parsing_exception', 'refused'],
    [400, 'strict_dynamic_mapping_exception', 'refused'],
    [400, 'illegal_argument_exception', 'refused'],
    [400, 'index_closed_exception', 'blocked'],
    [403, 'cluster_block_exception', 'blocked'],
    [429, 'cluster_block_exception', 'overloaded'],
    [401, 'security_exception', 'denied'],
    [403, 'security_exception', 'denied'],
    [429, 'es_rejected_execution_exception', 'overloaded'],
    [429, 'circuit_breaking_exception', 'overloaded'],
    [503, 'unavailable_shards_exception', 'down'],
    [408, 'timeout', 'down'],
    [502, undefined, 'down'],
    [504, undefined, 'down'],
    [500, 'null_pointer_exception', 'refused'],
    [0, undefined, 'refused'],
  ])('status %i of an item with error %s: %s', (status, type, verdict) => {
    expect(judgeItem(status, type)).toBe(verdict);
  });
});

test('an address that the client refuses is a configuration error for whoever sends, and none for whoever closes', async () => {
  const cluster = new Cluster('es', { url: 'http://127.0.0.1:9', caFingerprint: 'a'.repeat(64) });
  const sent = cluster.request({ method: 'GET', path: '/' }, new AbortController().signal);
  await expect(sent).rejects.toMatchObject({ code: 'config', hint: expect.stringContaining('nodes.es') as string });
  await expect(cluster[Symbol.asyncDispose]()).resolves.toBeUndefined();
});
