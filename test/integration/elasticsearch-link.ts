import { silentLogger } from '../../src/core/logger.ts';
import type { Route, RouteColumn } from '../../src/core/route.ts';
import { migrate } from '../../src/db/migrate.ts';
import { ident, tableIdent } from '../../src/db/quote.ts';
import { openSession, type Session } from '../../src/db/session.ts';
import { describeTable } from '../../src/db/table-description.ts';
import type { ElasticsearchAddress } from '../../src/targets/elasticsearch/cluster.ts';
import { openElasticsearchTarget } from '../../src/targets/elasticsearch/open.ts';
import type { Applied, Batch, ChangedTable, Mark, RefusedRow, Target } from '../../src/targets/target.ts';

/** A search hit, as far as tests look at it. */
export interface Found {
  readonly _id: string;
  readonly _version: number;
  readonly _source: Record<string, unknown>;
}

/** What is not as a route of the whole table has it. */
export interface RouteOptions extends Partial<Route> {
  /** Field names by column names. */
  readonly map?: Readonly<Record<string, string>>;
  /** Columns to leave out. */
  readonly without?: readonly string[];
}

/** A source database with the schema `pgrep` and a target, driven batch by batch as a replayer does. */
export class ElasticsearchLink implements AsyncDisposable {
  readonly held: RefusedRow[] = [];
  readonly url: string;
  readonly state: Session;
  readonly reader: Session;
  readonly target: Target;
  readonly signal = AbortSignal.timeout(120_000);

  private constructor(url: string, state: Session, reader: Session, target: Target) {
    this.url = url.replace(/\/$/, '');
    this.state = state;
    this.reader = reader;
    this.target = target;
  }

  /** Opens a link from an empty database; installs the schema unless it is there. */
  static async open(databaseUrl: string, address: ElasticsearchAddress): Promise<ElasticsearchLink> {
    const state = await openSession({ node: 'local', url: databaseUrl });
    const reader = await openSession({ node: 'local', url: databaseUrl });
    await migrate(state, false);
    const link = { source: 'local', target: 'es' };
    const target = await openElasticsearchTarget({ link, node: address, source: state, logger: silentLogger });
    return new ElasticsearchLink(address.url, state, reader, target);
  }

  /** A route of all columns of a table of schema public to the index of the same name. */
  async route(name: string, options: RouteOptions = {}): Promise<Route> {
    const { map = {}, without = [], ...given } = options;
    const table = await describeTable(this.state, { schema: 'public', name });
    const columns: RouteColumn[] = table.columns
      .filter((c) => !without.includes(c.name))
      .map((c) => ({
        source: c.name,
        target: map[c.name] ?? c.name,
        type: c.type.sql,
        typeOid: c.type.oid,
      }));
    return {
      id: '1',
      tableId: '1',
      source: 'local',
      target: 'es',
      sourceTable: table.table,
      targetTable: { schema: '', name },
      key: table.primaryKey,
      columns,
      filter: null,
      state: 'live',
      sweep: false,
      packed: false,
      twoWay: null,
      ...given,
    };
  }

  /** Makes a table anew with its rows, drops the index of its name, and prepares the route between them. */
  async given(name: string, sql: string, options: RouteOptions = {}): Promise<Route> {
    await this.http('DELETE', `/${name}`);
    await this.state.script(`drop table if exists ${ident(name)}; ${sql}`);
    this.held.length = 0;
    const route = await this.route(name, options);
    await this.target.prepare([route], this.signal);
    return route;
  }

  /** Keys as a query: all rows of the table, and those that `more` names (`values (…)` of the key's type). */
  changed(route: Route, options: { keys?: string; sweep?: boolean } = {}): ChangedTable {
    const key = route.key.map(ident).join(', ');
    const columns = route.columns.map((column) => ident(column.source)).join(', ');
    const where = route.filter === null ? '' : ` where ${route.filter}`;
    return {
      route,
      keys: `select * from (${options.keys ?? `select ${key} from ${tableIdent(route.sourceTable)}`}) given(${key})`,
      rows: `(select ${columns} from ${tableIdent(route.sourceTable)}${where})`,
      sweep: options.sweep ?? false,
      small: false,
      byHash: false,
    };
  }

  /** Reads a batch in a snapshot of now and hands it to `use`, as the protocol `build` demands. */
  async batch<T>(tables: readonly ChangedTable[], use: (batch: Batch) => Promise<T>, mark?: Mark): Promise<T> {
    const { epoch } = await this.target.position(this.signal);
    const now = await this.state.query('select pg_catalog.pg_current_snapshot()::text as snapshot');
    const drawn = await this.state.query("select pg_catalog.nextval('pgrep.build')::text as build");
    await this.reader.script('begin isolation level repeatable read read only; select 1');
    try {
      return await use({
        epoch,
        build: String(drawn.rows[0]?.['build']),
        tables,
        mark: mark ?? { kind: 'position', snapshot: String(now.rows[0]?.['snapshot']), joined: [], durable: true },
        origin: { systemIdentifier: '7', database: 'source', timeline: 1 },
        copyOut: (sql) => this.reader.copyOut(sql),
        hold: (refused) => {
          this.held.push(...refused);
          return Promise.resolve();
        },
      });
    } finally {
      await this.reader.script('rollback');
    }
  }

  /** One batch from reading to mark. */
  async sync(tables: readonly ChangedTable[], mark?: Mark): Promise<Applied> {
    return this.batch(tables, (batch) => this.target.apply(batch, this.signal), mark);
  }

  /** A request to the cluster past the code under test. */
  async http(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const answer = await fetch(`${this.url}${path}`, { method, ...init });
    return (await answer.json()) as Record<string, unknown>;
  }

  /** One document by id as text and parsed; null when there is none. */
  async document(
    index: string,
    id: string,
  ): Promise<{ text: string; source: Record<string, unknown>; version: number } | null> {
    const answer = await fetch(`${this.url}/${index}/_doc/${encodeURIComponent(id)}`);
    const text = await answer.text();
    const found = JSON.parse(text) as { found?: boolean; _source: Record<string, unknown>; _version: number };
    return found.found === true ? { text, source: found._source, version: found._version } : null;
  }

  /** All documents by id. */
  async all(index: string): Promise<Found[]> {
    await this.http('POST', `/${index}/_refresh`);
    const body = { size: 10_000, version: true };
    const answer = (await this.http('POST', `/${index}/_search`, body)) as unknown as { hits: { hits: Found[] } };
    if (!('hits' in answer)) throw new Error(`the search of ${index} failed: ${JSON.stringify(answer)}`);
    return answer.hits.hits.sort((a, b) => (a._id < b._id ? -1 : 1));
  }

  /** Ids of all documents, sorted. */
  async ids(index: string): Promise<string[]> {
    return (await this.all(index)).map((hit) => hit._id);
  }

  /** How many documents a query finds. */
  async count(index: string, query: unknown): Promise<number> {
    await this.http('POST', `/${index}/_refresh`);
    return Number((await this.http('POST', `/${index}/_count`, { query }))['count']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.target[Symbol.asyncDispose]();
    await this.reader[Symbol.asyncDispose]();
    await this.state[Symbol.asyncDispose]();
  }
}
