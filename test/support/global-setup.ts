import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startElasticsearch, type ElasticsearchServer } from './elasticsearch.ts';
import { packageRoot } from './package-root.ts';

/** How to reach the shared server. */
export interface SharedServer {
  readonly url: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Where test files ask for servers that the whole run shares. */
    supportUrl: string;
  }
}

/** Builds `dist/` and offers the shared servers, each started at its first use; returns what ends them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (project.vitest.projects.some(({ name }) => name !== 'unit')) build();
  const shared = new SharedServers();
  project.provide('supportUrl', await shared.listen());
  return () => shared.close();
}

/** Scenario and command-line tests run what users run: the build. */
function build(): void {
  if (!existsSync(join(packageRoot, 'src', 'cli', 'main.ts'))) return;
  try {
    execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], {
      cwd: packageRoot,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch {
    // tsc writes its output all the same; type errors fail `npm run check`, not every test.
    process.stderr.write('the build has type errors\n');
  }
  chmodSync(join(packageRoot, 'dist', 'cli', 'main.js'), 0o755);
}

class SharedServers {
  private readonly server: Server;
  private elasticsearch: Promise<ElasticsearchServer> | undefined;

  constructor() {
    this.server = createServer((_request, response) => {
      this.elasticsearch ??= startElasticsearch();
      this.elasticsearch.then(
        ({ url }) => response.end(JSON.stringify({ url } satisfies SharedServer)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    const server = await this.elasticsearch?.catch(() => undefined);
    await server?.[Symbol.asyncDispose]();
  }
}
