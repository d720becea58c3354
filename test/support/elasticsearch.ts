import { execFileSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ordinaryUser } from '../../scripts/cache.mjs';
import { elasticsearchVersion, fetchElasticsearch, javaHome } from '../../scripts/elasticsearch.mjs';
import { removeFolder, serverFolder } from './folders.ts';
import { httpGet } from './http-get.ts';
import { freePort } from './ports.ts';
import { ServerProcess } from './server-process.ts';
import { waitFor } from './wait.ts';

/** How a server is to be made. */
export interface ElasticsearchOptions {
  readonly version?: string;
  /** True: requests need `username` and `password`; there is also `reader`, same password, that may only read. */
  readonly security?: boolean;
  /** True: https with a certificate of its own in `caFile`; implies security. */
  readonly tls?: boolean;
  /** JVM heap; `512m` unless given. */
  readonly heap?: string;
  /** Further lines of elasticsearch.yml. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** True: the server goes on when this process ends. */
  readonly outlive?: boolean;
}

/** A single-node server on 127.0.0.1 with a folder of its own, or the one that `ELASTICSEARCH_URL` names. */
export interface ElasticsearchServer extends AsyncDisposable {
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** The PEM file to trust; only with `tls`. */
  readonly caFile: string | undefined;
  /** Config, data and log; empty where the server is not ours. */
  readonly folder: string;
  readonly logPath: string;
  /** The launcher's pid, undefined while stopped or where the server is not ours. */
  readonly pid: number | undefined;
  /** Starts again after `stop` or `kill`: same port, same data. Returns when the cluster's health is known. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL of all its processes at once. */
  kill(): Promise<void>;
}

/** Starts a fresh server (7 s here), or hands out the one of `ELASTICSEARCH_URL` when neither security nor TLS is asked for. */
export async function startElasticsearch(options: ElasticsearchOptions = {}): Promise<ElasticsearchServer> {
  const given = process.env['ELASTICSEARCH_URL'];
  if (given && !options.security && !options.tls) return new GivenElasticsearch(given);
  const server = new LocalElasticsearch(options, await freePort(), await freePort());
  await server.start();
  return server;
}

class LocalElasticsearch implements ElasticsearchServer {
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly caFile: string | undefined;
  readonly logPath: string;
  readonly folder: string;
  private readonly home: string;
  private readonly options: ElasticsearchOptions;
  private process: ServerProcess | undefined;

  constructor(options: ElasticsearchOptions, port: number, transportPort: number) {
    this.options = options;
    this.home = fetchElasticsearch(options.version ?? elasticsearchVersion);
    this.folder = serverFolder('es');
    this.logPath = join(this.folder, 'log');
    this.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
    const secure = (options.security ?? false) || (options.tls ?? false);
    const config = join(this.folder, 'config');
    cpSync(join(this.home, 'config'), config, { recursive: true });
    mkdirSync(join(this.folder, 'tmp'));
    const settings = { ...this.settings(port, transportPort), 'xpack.security.enabled': secure };
    if (secure) {
      this.username = 'elastic-test';
      this.password = randomBytes(12).toString('hex');
      writeUsers(config, this.password);
    }
    if (options.tls) this.caFile = writeCertificate(config);
    const tls = options.tls ? { 'xpack.security.http.ssl.enabled': true, ...keystoreSettings } : {};
    writeSettings(config, { ...settings, ...tls, ...options.settings });
    giveAway(this.folder);
  }

  get pid(): number | undefined {
    return this.process?.running ? this.process.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    const heap = this.options.heap ?? '512m';
    this.process = ServerProcess.launch({
      command: join(this.home, 'bin', 'elasticsearch'),
      args: [],
      cwd: this.folder,
      env: {
        ES_JAVA_HOME: requiredJava(),
        ES_JAVA_OPTS: `-Xms${heap} -Xmx${heap}`,
        ES_PATH_CONF: join(this.folder, 'config'),
        ES_TMPDIR: join(this.folder, 'tmp'),
        // The launcher's own JVM only parses options.
        CLI_JAVA_OPTS: '-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1',
      },
      logPath: this.logPath,
      orphan: { signal: 'KILL', group: true },
      outlive: this.options.outlive ?? false,
    });
    await this.ready(this.process);
  }

  async stop(): Promise<void> {
    this.process?.signal('SIGTERM');
    await this.process?.exited(60_000);
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    removeFolder(this.folder);
  }

  private settings(port: number, transportPort: number): Record<string, string | number | boolean> {
    return {
      'discovery.type': 'single-node',
      'network.host': '127.0.0.1',
      'http.port': port,
      'transport.port': transportPort,
      'path.data': join(this.folder, 'data'),
      'path.logs': join(this.folder, 'logs'),
      // A developer's full disk must not turn test indices read-only.
      'cluster.routing.allocation.disk.threshold_enabled': false,
    };
  }

  private async ready(process: ServerProcess): Promise<void> {
    const { url, username, password, caFile } = this;
    const health = `${url}/_cluster/health?wait_for_status=yellow&timeout=1s`;
    const healthy = async (): Promise<boolean> =>
      (await httpGet(health, {
        ...(username !== undefined && password !== undefined ? { auth: `${username}:${password}` } : {}),
        ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      })) === 200;
    await waitFor(async () => !process.running || (await healthy()), {
      what: `Elasticsearch to be healthy (log: ${this.logPath})`,
      deadlineMs: 180_000,
      everyMs: 50,
    });
    if (process.running) return;
    throw new Error(
      `Elasticsearch ended while starting; its log:\n${readFileSync(this.logPath, 'utf8').slice(-3_000)}`,
    );
  }
}

/** Somebody else's server: usable, but not ours to stop. */
class GivenElasticsearch implements ElasticsearchServer {
  readonly url: string;
  readonly username = undefined;
  readonly password = undefined;
  readonly caFile = undefined;
  readonly folder = '';
  readonly logPath = '';
  readonly pid = undefined;

  constructor(url: string) {
    this.url = url;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.reject(new Error('the server of ELASTICSEARCH_URL is not ours to stop'));
  }

  kill(): Promise<void> {
    return this.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const keystorePassword = 'only-for-tests';
const keystoreSettings = {
  'xpack.security.http.ssl.keystore.path': 'http.p12',
  'xpack.security.http.ssl.keystore.password': keystorePassword,
} as const;

/** Users in files need no keystore and no JVM to write: a hash as Elasticsearch's PBKDF2 hasher writes it. */
function writeUsers(config: string, password: string): void {
  const salt = randomBytes(32);
  const rounds = 10_000;
  const hash = pbkdf2Sync(password, salt, rounds, 32, 'sha512').toString('base64');
  const line = `{PBKDF2}${rounds}$${salt.toString('base64')}$${hash}`;
  writeFileSync(join(config, 'users'), `elastic-test:${line}\nreader:${line}\n`);
  writeFileSync(join(config, 'users_roles'), 'superuser:elastic-test\nread_only:reader\n');
  writeFileSync(
    join(config, 'roles.yml'),
    'read_only:\n  cluster: [monitor]\n  indices:\n    - names: ["*"]\n      privileges: [read, view_index_metadata]\n',
  );
}

/** A self-signed certificate for 127.0.0.1; keytool comes with every Java. Returns its PEM file. */
function writeCertificate(config: string): string {
  const keytool = join(requiredJava(), 'bin', 'keytool');
  const store = [
    '-keystore',
    join(config, 'http.p12'),
    '-storetype',
    'PKCS12',
    '-storepass',
    keystorePassword,
    '-alias',
    'http',
  ];
  const name = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost', '-ext', 'BC=ca:true'];
  execFileSync(keytool, ['-genkeypair', '-keyalg', 'RSA', '-validity', '30', ...store, ...name], { stdio: 'ignore' });
  const pem = join(config, 'ca.pem');
  execFileSync(keytool, ['-exportcert', '-rfc', '-file', pem, ...store], { stdio: 'ignore' });
  return pem;
}

function writeSettings(config: string, settings: Readonly<Record<string, string | number | boolean>>): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  writeFileSync(join(config, 'elasticsearch.yml'), lines.join(''));
}

/** Lets the ordinary user write what we wrote. */
function giveAway(folder: string): void {
  const user = ordinaryUser();
  if (!user) return;
  for (const entry of ['.', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })]) {
    chownSync(join(folder, entry), user.uid, user.gid);
  }
  chmodSync(folder, 0o755);
}

function requiredJava(): string {
  const home = javaHome();
  if (home === undefined)
    throw new Error('Elasticsearch needs Java 17 and none was found. Type: node scripts/setup.mjs');
  return home;
}
