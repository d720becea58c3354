import { inject } from 'vitest';
import type { SharedServer } from './global-setup.ts';

/**
 * The Elasticsearch that all test files share, started when the first one asks. It has no users; make indices
 * of your own names and never stop it: for that there is `startElasticsearch`.
 */
export async function sharedElasticsearch(): Promise<SharedServer> {
  const response = await fetch(`${inject('supportUrl')}/elasticsearch`);
  if (!response.ok) throw new Error(`the shared Elasticsearch did not start: ${await response.text()}`);
  return (await response.json()) as SharedServer;
}
