import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';
import { documentText, parseDocument } from '../../../shared/state/document-json.ts';
import type { Document } from '../../../shared/state/document.ts';

describe('the text of a document', () => {
  it.each<[string, Document]>([
    ['{"a":[1,"x",null,true]}', { a: [1, 'x', null, true] }],
    ['{"$bigint":"12"}', 12n],
    ['{"$bytes":"AQL/"}', new Uint8Array([1, 2, 255])],
    ['{"$$$":1,"$$bigint":"12","a":{"$bigint":"2"}}', { $bigint: '12', $$: 1, a: 2n }],
    ['{"$$bytes":[]}', { $bytes: [] }],
    ['"\\"$bigint"', '"$bigint'],
  ])('is %s', (text, document) => {
    const { document: canonical } = canonicalDocument(document);
    expect(documentText(canonical)).toBe(text);
    expect(parseDocument(text)).toStrictEqual(canonical);
  });

  it('keeps a name that is a prototype’s', () => {
    const document = canonicalDocument(JSON.parse('{"__proto__":{"$x":1},"b":[2]}')).document;
    const again = parseDocument(documentText(document)) as Record<string, Document>;
    expect(documentText(again)).toBe('{"__proto__":{"$$x":1},"b":[2]}');
    expect(Object.hasOwn(again, '__proto__')).toBe(true);
  });

  it('gives every document back, names in the same order', () => {
    const name = fc.oneof(
      fc.constantFrom('$', '$bigint', '$$bytes', '__proto__', '1', '01'),
      fc.string({ minLength: 1 }),
    );
    const leaf = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc
        .double({ min: -1e100, max: 1e100, noNaN: true })
        .filter((value) => value === 0 || Math.abs(value) > 1e-100),
      fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array(),
    );
    const { document } = fc.letrec<{ document: unknown }>((tie) => ({
      document: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('document')),
        fc.array(fc.tuple(name, tie('document'))).map((entries) => Object.fromEntries(entries)),
      ),
    }));
    fc.assert(
      fc.property(document, (value) => {
        const { document: canonical } = canonicalDocument(value);
        const text = documentText(canonical);
        const again = parseDocument(text);
        // Not `toStrictEqual`, which asks a document for its `constructor`.
        expect(isDeepStrictEqual(again, canonical)).toBe(true);
        expect(documentText(again)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});
