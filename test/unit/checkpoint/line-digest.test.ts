import { describe, expect, it } from 'vitest';
import { LineDigest } from '../../../shared/checkpoint/line-digest.ts';

function digestOf(lines: readonly string[]): string {
  const digest = new LineDigest();
  for (const line of lines) digest.add(line);
  return String(digest);
}

describe('LineDigest', () => {
  it('is the same in whatever order lines come, and in however many digests', () => {
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`);
    const whole = digestOf(lines);
    expect(whole).toMatch(/^[0-9a-f]{64}$/);
    expect(digestOf(lines.toReversed())).toBe(whole);
    const half = new LineDigest(digestOf(lines.slice(0, 20)));
    half.merge(new LineDigest(digestOf(lines.slice(20))));
    expect(String(half)).toBe(whole);
  });

  it('tells a line that is missing, doubled or another', () => {
    const digests = [[], ['a'], ['a', 'a'], ['b'], ['a', 'b'], ['ab']].map(digestOf);
    expect(new Set(digests).size).toBe(digests.length);
    expect(digests[0]).toBe('0'.repeat(64));
  });
});
