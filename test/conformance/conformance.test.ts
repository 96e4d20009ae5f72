import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { variantName } from './case-world.ts';
import { conformanceCases, nameOf } from './conformance-case.ts';
import { operatorOf, readmeWithTable } from './conformance-table.ts';
import { runCase, runnableCases, variantsOf } from './run-case.ts';
import { DOES_NOT_APPLY, EXCEPT_FOR } from './what-applies.ts';

describe("cases of Spark's suites", () => {
  for (const given of runnableCases()) {
    it(`give what they give there: ${nameOf(given)}`, async () => {
      let [delivered, redelivered] = [0, 0];
      for (const variant of variantsOf(given)) {
        const { differences, redeliveries } = await runCase(given, variant);
        expect(differences, variantName(variant)).toEqual([]);
        delivered += Number(variant.redelivers);
        redelivered += redeliveries;
      }
      expect(delivered).toBeGreaterThan(0);
      expect(redelivered, 'batches that came again').toBeGreaterThanOrEqual(isRefused(nameOf(given)) ? 0 : 1);
    });
  }
});

/** Cases whose pipeline is refused when it is written. */
function isRefused(name: string): boolean {
  return /transform with NULL|simple count, append mode|update mode - session window/.test(name);
}

describe('the table of operators', () => {
  const names = conformanceCases().map(nameOf);

  it('has each case in one row', () => {
    expect(new Set(names).size).toBe(names.length);
    for (const given of conformanceCases()) expect(operatorOf(given)).toBeDefined();
  });

  it('gives reasons for cases that there are, and one for each', () => {
    const reasons = [...Object.keys(DOES_NOT_APPLY), ...Object.keys(EXCEPT_FOR)];
    expect(new Set(reasons).size).toBe(reasons.length);
    expect(reasons.filter((name) => !names.includes(name))).toEqual([]);
  });

  it('is what the README says', async () => {
    const path = fileURLToPath(new URL('../../README.md', import.meta.url));
    const readme = readFileSync(path, 'utf8');
    expect(await readmeWithTable(readme, path), 'run npm run conformance').toBe(readme);
  });
});
