import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes minutes, the longest first: at the end it would run alone, beside idle cores. */
const LONG = [
  'test/simulation/',
  'test/e2e/',
  'test/conformance/',
  'test/cloud/',
  'test/infra/local/',
  'test/infra/cdk/',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONG.findIndex((folder) => moduleId.includes(folder));
      return place === -1 ? LONG.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Whole clouds run in some, one beside the other: generous, so that only what hangs is ended.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    // All cores: one is left out otherwise, and of two that is half.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
  },
});
