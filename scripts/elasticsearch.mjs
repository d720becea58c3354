/**
 * Brings a real Elasticsearch into the cache: the distribution that Elastic publishes for integration tests,
 * fetched by Maven, and a Java that runs it. Node built-ins only.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, draftFolder } from './cache.mjs';
import { runTool } from './run-tool.mjs';

export const elasticsearchVersion = '8.19.8';

/** Javas that this Elasticsearch supports; checked against `release` files, so that nothing has to be started. */
const supportedJava = { lowest: 17, highest: 24 };

/** Where an unpacked Elasticsearch is, or will be. */
export function elasticsearchFolder(version = elasticsearchVersion) {
  return join(cacheFolder(), `elasticsearch-${version}`);
}

/** The unpacked Elasticsearch; fetches it first where it is missing. Throws an Error that says what to type. */
export function fetchElasticsearch(version = elasticsearchVersion) {
  const folder = elasticsearchFolder(version);
  if (existsSync(folder)) return folder;
  const draft = draftFolder();
  try {
    const artifact = `org.elasticsearch.distribution.integ-test-zip:elasticsearch:${version}:zip`;
    runTool('mvn', ['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${draft}`]);
    runTool('unzip', ['-q', join(draft, `elasticsearch-${version}.zip`), '-d', draft]);
    publish(join(draft, `elasticsearch-${version}`), folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

/** Renames the finished folder into place; whoever comes second keeps the first one's. */
function publish(draft, folder) {
  try {
    renameSync(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** A JAVA_HOME that can run Elasticsearch (the lowest supported one), or undefined. `ES_JAVA_HOME` wins. */
export function javaHome() {
  const chosen = process.env['ES_JAVA_HOME'];
  if (chosen) return chosen;
  const places = [
    process.env['JAVA_HOME'],
    ...list('/usr/lib/jvm'),
    ...list('/Library/Java/JavaVirtualMachines', 'Contents/Home'),
  ];
  return places
    .filter((place) => place !== undefined && existsSync(join(place, 'bin', 'java')))
    .map((place) => ({ place, version: javaVersion(place) }))
    .filter(({ version }) => version >= supportedJava.lowest && version <= supportedJava.highest)
    .sort((a, b) => a.version - b.version)[0]?.place;
}

function list(folder, below = '.') {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, below)) : [];
}

function javaVersion(home) {
  const release = join(home, 'release');
  if (!existsSync(release)) return 0;
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, 'utf8'))?.[1] ?? 0);
}
