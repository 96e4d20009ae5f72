import { expect, it } from 'vitest';
import { findJavaVersion, parseJavaVersion } from '../../../infra/local/engines/java-runtime.ts';

it.each([
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_402"', 8],
  ['openjdk version "21" 2023-09-19', 21],
  ['openjdk version "25-ea" 2025-09-16', 25],
  ['command not found', undefined],
])('reads %s as Java %s', (text, version) => {
  expect(parseJavaVersion(text)).toBe(version);
});

it('finds no version where there is no Java', async () => {
  expect(await findJavaVersion('there-is-no-such-java')).toBeUndefined();
});
