import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { variantName } from './case-world.ts';
import { nameOf } from './conformance-case.ts';
import { readmeWithTable } from './conformance-table.ts';
import { runCase, runnableCases, variantsOf } from './run-case.ts';

/** `npm run conformance`: runs all cases, and writes into the README what came of them. */
const readmePath = fileURLToPath(new URL('../../README.md', import.meta.url));
let [runs, failures] = [0, 0];
for (const given of runnableCases()) {
  for (const variant of variantsOf(given)) {
    const { differences } = await runCase(given, variant);
    runs += 1;
    if (differences.length === 0) continue;
    failures += 1;
    console.log(`${nameOf(given)} (${variantName(variant)})\n  ${differences.join('\n  ')}`);
  }
}
console.log(`${runs} runs of ${runnableCases().length} cases, ${failures} failed.`);
if (failures > 0) {
  console.log('The README is as it was.');
  process.exitCode = 1;
} else {
  writeFileSync(readmePath, await readmeWithTable(readFileSync(readmePath, 'utf8'), readmePath));
}
