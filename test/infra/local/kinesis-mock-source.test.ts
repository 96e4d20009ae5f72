import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import {
  KNOWN_KINESIS_LOCAL_VERSION,
  prepareKinesisMock,
} from '../../../infra/local/engines/kinesis-mock-source.ts';

const require = createRequire(import.meta.url);
const installed = readFileSync(require.resolve('kinesis-local'), 'utf8');

describe("kinesis-mock's source", () => {
  it('is of the version whose text is known', () => {
    expect(require('kinesis-local/package.json')).toMatchObject({ version: KNOWN_KINESIS_LOCAL_VERSION });
  });

  it('has the text that is changed, once, and stays the same around it', () => {
    const { source, isPutRecordsFast } = prepareKinesisMock(installed);

    expect(isPutRecordsFast).toBe(true);
    const [before = '', after = ''] = source.split(/\$p\.GE = \(function\(xs\) \{\n {2}if[\s\S]*?\n\}\);/);
    expect(source).not.toBe(installed);
    expect(installed.startsWith(before)).toBe(true);
    expect(installed.endsWith(after)).toBe(true);
    expect(installed.length - before.length - after.length).toBeLessThan(300);
  });

  it('is left alone where the text is missing', () => {
    expect(prepareKinesisMock('another version')).toEqual({
      source: 'another version',
      isPutRecordsFast: false,
    });
  });

  it('is left alone where the text is there twice', () => {
    const twice = installed + installed;

    expect(prepareKinesisMock(twice).isPutRecordsFast).toBe(false);
  });
});
