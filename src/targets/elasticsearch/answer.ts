/** What the answer to a whole bulk request means, by its HTTP status. */
export type RequestVerdict =
  'items' | 'down' | 'overloaded' | 'denied' | 'missing' | 'poisoned' | 'tooLarge' | 'unexpected';

/** What the answer to one item of a bulk request means. */
export type ItemVerdict = 'done' | 'down' | 'overloaded' | 'denied' | 'missing' | 'blocked' | 'refused';

/**
 * `items`: look at each. `down`: back off, keep the position. `overloaded`: send less. `denied`, `missing`: configuration, stop the link.
 * `poisoned`: one of the items spoils the request. `tooLarge`: split. `unexpected`: nothing that Elasticsearch says to a bulk request.
 */
export function judgeRequest(status: number): RequestVerdict {
  switch (status) {
    case 200:
      return 'items';
    case 400:
      return 'poisoned';
    case 401:
    case 403:
      return 'denied';
    case 404:
      return 'missing';
    case 413:
      return 'tooLarge';
    case 429:
      return 'overloaded';
    default:
      // 500 too: of a whole request it says more about the server than about a row.
      return status === 408 || status >= 500 ? 'down' : 'unexpected';
  }
}

/**
 * `done`: the document is as this build or a newer one has it. `refused`: this document never goes in as it is.
 * `blocked`: the index is closed or read-only. `type` is the error's, undefined when there was none.
 */
export function judgeItem(status: number, type: string | undefined): ItemVerdict {
  if (type !== undefined && blockedTypes.has(type)) return status === 429 ? 'overloaded' : 'blocked';
  switch (status) {
    // 409: a newer version is there already.
    case 200:
    case 201:
    case 409:
      return 'done';
    case 401:
    case 403:
      return 'denied';
    case 404:
      // Without an error: the document to be deleted was not there.
      return type === undefined ? 'done' : 'missing';
    case 429:
      return 'overloaded';
    case 408:
    case 502:
    case 503:
    case 504:
      return 'down';
    default:
      return 'refused';
  }
}

// By type, because a closed index answers 400 and a read-only one 403, like a poison row and a missing privilege.
const blockedTypes: ReadonlySet<string> = new Set(['index_closed_exception', 'cluster_block_exception']);
