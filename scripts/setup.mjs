/**
 * Brings what the demo and the tests need and is not there yet: npm packages, Java, Maven, Elasticsearch.
 * Node built-ins only, because it runs before anything is installed. Says what it does; quick when all is there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isRoot } from './cache.mjs';
import { elasticsearchFolder, elasticsearchVersion, fetchElasticsearch, javaHome } from './elasticsearch.mjs';
import { runTool } from './run-tool.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Any Java from 17 on serves; which of these a Debian has depends on its release. */
const javaPackages = ['openjdk-17-jre-headless', 'openjdk-21-jre-headless'];

function main() {
  if (!npmPackagesAreCurrent()) installNpmPackages();
  const missing = missingPrograms();
  if (missing.length > 0) installPrograms(missing);
  if (!existsSync(elasticsearchFolder())) {
    say(`fetching Elasticsearch ${elasticsearchVersion} (94 MB) into ${dirname(elasticsearchFolder())}`);
    fetchElasticsearch();
  }
}

/** True when node_modules holds exactly the versions of the lock file (what is for other platforms aside). */
function npmPackagesAreCurrent() {
  const wanted = lockedPackages('package-lock.json');
  const present = lockedPackages('node_modules/.package-lock.json');
  if (!wanted || !present) return false;
  return Object.entries(wanted).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' ||
      (optional && !(path in present)) ||
      (devOptional && !(path in present)) ||
      present[path]?.version === version,
  );
}

function lockedPackages(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

/** `npm ci` where nothing is there; else `npm install`, which takes nothing away from programs that run meanwhile. */
function installNpmPackages() {
  say('installing npm packages');
  const command = existsSync(join(root, 'node_modules')) ? 'install' : 'ci';
  run('npm', [command, '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci');
}

function missingPrograms() {
  const missing = javaHome() === undefined ? ['java'] : [];
  if (existsSync(elasticsearchFolder())) return missing;
  return [...missing, ...['mvn', 'unzip'].filter((program) => !isOnPath(program))];
}

function isOnPath(program) {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}

function installPrograms(missing) {
  const names = missing.map((program) => ({ java: javaPackages[0], mvn: 'maven', unzip: 'unzip' })[program]);
  const advice = `apt-get update && apt-get install -y ${names.join(' ')}`;
  if (!isRoot || !isOnPath('apt-get')) {
    fail(
      `Elasticsearch needs ${missing.join(', ')} here. Type: ${isOnPath('apt-get') ? `sudo sh -c '${advice}'` : advice}`,
    );
  }
  say(`installing ${missing.join(', ')} by apt-get`);
  run('apt-get', ['update', '-qq'], advice);
  const java = javaPackages.find(aptKnows);
  const packages = names.map((name) => (javaPackages.includes(name) ? (java ?? name) : name));
  run(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...packages],
    advice,
  );
  if (javaHome() === undefined)
    fail('no Java from 17 to 24 was found under /usr/lib/jvm. Type: export ES_JAVA_HOME=/path/to/java');
}

function aptKnows(name) {
  const { stdout } = spawnSync('apt-cache', ['show', '--no-all-versions', name], { encoding: 'utf8' });
  return (stdout ?? '').includes(`Package: ${name}`);
}

function run(command, args, advice) {
  try {
    runTool(command, args, { cwd: root, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  } catch (error) {
    fail(`${error.message}. Mend that, or type: ${advice}`);
  }
}

function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(2);
}

try {
  main();
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
