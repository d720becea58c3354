import { defineConfig } from 'vitest/config';

const shared = {
  setupFiles: ['test/support/keep-failed.ts'],
  // Real servers on two busy cores; a test that waits in vain names its condition long before.
  testTimeout: 60_000,
  hookTimeout: 240_000,
};

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { ...shared, name: 'integration', include: ['test/integration/**/*.test.ts'] } },
      { test: { ...shared, name: 'scenario', include: ['test/scenario/**/*.test.ts'], testTimeout: 180_000 } },
    ],
  },
});
