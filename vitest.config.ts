import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Whole clouds run in some, one beside the other: generous, so that only what hangs is ended.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    // All cores: one is left out otherwise, and of two that is half.
    maxWorkers: availableParallelism(),
  },
});
