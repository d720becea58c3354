import { PgrepError } from '../../src/core/error.ts';
import type { Place } from '../trial.ts';

/** The target's URL; throws `bug` at a place that has an index instead. */
export function targetUrl(place: Place): string {
  if (place.target.kind === 'postgres') return place.target.url;
  throw new PgrepError('bug', 'this contender has no way to Elasticsearch');
}
