import { defineConfig } from 'vitest/config';

/** Of the suites that need a cloud beside this machine; `npm test` runs the same one on the local cloud. */
export default defineConfig({
  test: {
    root: new URL('../../', import.meta.url).pathname,
    include: ['test/cloud/*.suite.ts'],
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    pool: 'forks',
  },
});
