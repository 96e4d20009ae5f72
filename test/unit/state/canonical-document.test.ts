import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowBytes } from '../../../shared/state/attribute-bytes.ts';
import { canonicalDocument } from '../../../shared/state/canonical-document.ts';
import { decodeDocument, encodeDocument } from '../../../shared/state/document-codec.ts';
import type { Document } from '../../../shared/state/document.ts';
import { UnstorableStateError } from '../../../shared/state/unstorable-state-error.ts';

function bytesOf(state: unknown): number {
  return canonicalDocument(state).bytes;
}

/** The size of the encoded form, without the name `a`. */
function encodedBytes(document: Document): number {
  return rowBytes({ a: encodeDocument(document) }) - 1;
}

/** Documents as users make them: bigints, bytes and names of every kind, well-formed strings. */
const states = fc.letrec<{ state: unknown; name: string; text: string }>((tie) => ({
  text: fc.string({ unit: 'binary' }),
  name: fc.oneof(
    fc.constantFrom('__proto__', 'constructor', '10', '9', 'a.b'),
    fc.string({ unit: 'binary', minLength: 1 }),
  ),
  state: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, false, -0),
    fc.integer(),
    fc.double({ min: 1e-130, max: 1e125, noNaN: true }),
    fc.double({ min: -1e125, max: -1e-130, noNaN: true }),
    fc.integer({ min: -1_000_000, max: 1_000_000 }).map((thousandths) => thousandths / 1000),
    fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
    tie('text'),
    fc.uint8Array(),
    fc.array(tie('state'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(tie('name'), tie('state')), { selector: ([name]) => name, maxLength: 5 })
      .map((entries) => Object.fromEntries(entries)),
  ),
})).state;

/** The same states at every run; give another seed to look further. */
const RUNS = { seed: 20_260_801, numRuns: 1000 };

describe('canonicalDocument', () => {
  it('gives what the database gives back, names in order, for every state', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { document } = canonicalDocument(state);
        const back = decodeDocument(encodeDocument(document));
        // vitest's own comparison stumbles over properties named `constructor`.
        expect(isDeepStrictEqual(back, document)).toBe(true);
        expect(namesOf(back)).toEqual(namesOf(document));
      }),
      RUNS,
    );
  });

  it('gives the same for its own result', () => {
    fc.assert(
      fc.property(states, (state) => {
        const first = canonicalDocument(state);
        const second = canonicalDocument(first.document);
        expect(isDeepStrictEqual(second, first)).toBe(true);
        expect(namesOf(second.document)).toEqual(namesOf(first.document));
      }),
      RUNS,
    );
  });

  it('counts no byte too few, and at most 8 too many for each long fraction', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { document, bytes } = canonicalDocument(state);
        const exact = encodedBytes(document);
        expect(bytes).toBeGreaterThanOrEqual(exact);
        expect(bytes - exact).toBeLessThanOrEqual(8 * fractionsIn(document));
      }),
      RUNS,
    );
  });

  it.each([
    ['0', 0, 1],
    ['-0', -0, 1],
    ['7', 7, 2],
    ['99', 99, 2],
    ['100', 100, 2],
    ['101', 101, 3],
    ['-101', -101, 4],
    ['1,000', 1000, 2],
    ['1,234,567', 1_234_567, 5],
    ['0.5', 0.5, 2],
    ['12.5', 12.5, 3],
    ['0.05', 0.05, 2],
    ['2 ** 53 - 1', 2 ** 53 - 1, 9],
    ['5n', 5n, 2],
    ['null', null, 1],
    ['true', true, 1],
    ['an ASCII string', 'hello', 5],
    ['a UTF-8 string', 'é✈', 5],
    ['a long UTF-8 string', 'é'.repeat(100), 200],
    ['bytes', new Uint8Array(9), 9],
    ['an empty list', [], 3],
    ['an empty map', {}, 3],
    ['a list', [1, 'a'], 3 + 2 + 2 + 1],
    ['a map', { count: 1, é: 'a' }, 3 + 2 + 5 + 2 + 2 + 1],
    ['a map with undefined', { count: undefined }, 3],
  ])('counts the bytes of %s', (_, state, bytes) => {
    expect(bytesOf(state)).toBe(bytes);
  });

  it('puts the names of maps in order, on every level', () => {
    const { document } = canonicalDocument({ b: [{ d: 1, c: 2 }], é: 1, a: { z: 1, Y: 2 } });
    expect(JSON.stringify(document)).toBe('{"a":{"Y":2,"z":1},"b":[{"c":2,"d":1}],"é":1}');
  });

  it('puts many names in order', () => {
    const names = Array.from({ length: 100 }, (_, index) => `name ${(index * 37) % 100}`);
    const { document } = canonicalDocument(Object.fromEntries(names.map((name) => [name, 1])));
    expect(Object.keys(document as object)).toEqual([...names].sort());
  });

  it('stores -0 as 0, in maps that are in order too', () => {
    expect(canonicalDocument({ a: -0, b: [-0] }).document).toStrictEqual({ a: 0, b: [0] });
  });

  it('leaves undefined properties out', () => {
    const { document } = canonicalDocument({ a: 1, b: undefined, c: { d: undefined } });
    expect(document).toStrictEqual({ a: 1, c: {} });
  });

  it('copies: what the user changes afterwards does not change the document', () => {
    const state = { list: [1], map: { a: 1 }, bytes: new Uint8Array([1]) };
    const { document } = canonicalDocument(state);
    state.list.push(2);
    state.map.a = 2;
    state.bytes[0] = 2;
    expect(document).toStrictEqual({ bytes: new Uint8Array([1]), list: [1], map: { a: 1 } });
    const flat = { a: 1, b: 2 };
    const copy = canonicalDocument(flat).document;
    flat.a = 3;
    expect(copy).toStrictEqual({ a: 1, b: 2 });
  });

  it('keeps a property named __proto__ as one of its own, and touches no prototype', () => {
    for (const text of [
      '{"__proto__":{"polluted":1},"a":1}',
      '{"b":1,"a":-0,"__proto__":[]}',
      '{"__proto__":1}',
    ]) {
      const state: unknown = JSON.parse(text);
      const { document } = canonicalDocument(state);
      expect(Object.getPrototypeOf(document)).toBe(Object.prototype);
      expect(Object.keys(document as object).sort()).toEqual(Object.keys(state as object).sort());
      expect((document as { polluted?: number }).polluted).toBeUndefined();
    }
  });

  it('takes objects without a prototype, and Buffers as bytes', () => {
    const bare = Object.assign(Object.create(null) as object, { a: Buffer.from([1, 2]) });
    const { document } = canonicalDocument(bare);
    expect(document).toStrictEqual({ a: new Uint8Array([1, 2]) });
  });

  it('takes 30 levels, and the same object twice where it is no cycle', () => {
    const shared = { a: 1 };
    expect(canonicalDocument([shared, shared]).document).toStrictEqual([{ a: 1 }, { a: 1 }]);
    expect(() => canonicalDocument(nested(30))).not.toThrow();
  });

  const cycle: Record<string, unknown> = { a: {} };
  (cycle['a'] as Record<string, unknown>)['b'] = [cycle];
  class Flight {
    origin = 'ORD';
  }
  const sparse = [1];
  sparse[2] = 3;

  it.each<[string, unknown, RegExp]>([
    ['NaN', { history: [0, 0, 0, { at: NaN }] }, /^delays\.history\[3\]\.at is NaN\. .*store null/],
    ['Infinity', { 'a.b': -Infinity }, /^delays\["a\.b"\] is -Infinity\. /],
    ['a number that is too large', [1e126], /^delays\[0\] is 1e\+126\. .*round it/],
    ['a number that is too small', 1e-131, /^delays is 1e-131\. /],
    ['a negative number that is too small', -5e-324, /^delays is -5e-324\. /],
    ['a bigint of 39 digits', { n: 10n ** 38n }, /^delays\.n is a bigint of more than 38 digits .*string/],
    ['a negative bigint of 39 digits', -(10n ** 38n), /^delays is a bigint of more than 38 digits/],
    ['a Date', { at: new Date(0) }, /^delays\.at is an instance of Date\. .*convert it/],
    ['a Map', new Map(), /^delays is an instance of Map\. /],
    ['a Set', [new Set()], /^delays\[0\] is an instance of Set\. /],
    ['an instance of a class', { f: new Flight() }, /^delays\.f is an instance of Flight\. /],
    ['another typed array', new Float64Array(1), /^delays is an instance of Float64Array\. /],
    ['a subclass of Array', new (class Rows extends Array {})(), /^delays is an instance of Rows\. /],
    ['a function', { f: () => 1 }, /^delays\.f is a function\. /],
    ['a symbol', { s: Symbol('x') }, /^delays\.s is a symbol\. /],
    [
      'a symbol as a name',
      { a: { [Symbol('x')]: 1 } },
      /^delays\.a\["Symbol\(x\)"\] has a symbol for its name\. /,
    ],
    ['a cycle', cycle, /is the same object as delays(\.a\.b\[0\])*, which contains it\. .*store an id/],
    ['31 levels', nested(31), /^delays(\[0\]){30} is nested deeper than 30 lists and maps\. /],
    ['a lone surrogate', { a: 'x\ud800y' }, /^delays\.a is "x\\ud800y", which holds a lone surrogate\. /],
    ['a lone surrogate far behind', 'x'.repeat(100) + '\udc00', /lone surrogate/],
    [
      'a lone surrogate in a name',
      { '\udc00': 1 },
      /^delays\["\\udc00"\] has a lone surrogate in its name\. /,
    ],
    ['an empty name', { a: { '': 1 } }, /^delays\.a\[""\] has a name of 0 bytes\. /],
    [
      'a name that is too long',
      { ['x'.repeat(65_536)]: 1 },
      /^delays\["x{100}…"\] has a name of 65536 bytes\. /,
    ],
    ['a sparse array', sparse, /^delays\[1\] is a hole in a sparse array\. .*null/],
    ['undefined in an array', { a: [undefined] }, /^delays\.a\[0\] is undefined, inside an array\. /],
    ['undefined itself', undefined, /^delays is undefined\. /],
  ])('refuses %s, and says where and what to do', (_, state, message) => {
    expect(() => canonicalDocument(state, 'delays')).toThrow(UnstorableStateError);
    expect(() => canonicalDocument(state, 'delays')).toThrow(message);
  });

  it('stores the value that a getter gives, and asks for it once', () => {
    let calls = 0;
    const state = Object.defineProperty({}, 'a', { get: () => ++calls, enumerable: true });
    expect(canonicalDocument(state).document).toEqual({ a: 1 });
    expect(calls).toBe(1);
  });

  it('leaves out a property that has only a setter', () => {
    const state = Object.defineProperty({ b: 1 }, 'a', { set: () => undefined, enumerable: true });
    expect(canonicalDocument(state).document).toEqual({ b: 1 });
  });
});

function nested(levels: number): unknown {
  let state: unknown = 1;
  for (let level = 0; level < levels; level++) state = [state];
  return state;
}

/** Names of all maps, in the order in which a function would see them. */
function namesOf(document: Document): unknown {
  if (Array.isArray(document)) return (document as Document[]).map(namesOf);
  if (document === null || typeof document !== 'object' || document instanceof Uint8Array) return null;
  return Object.entries(document as Record<string, Document>).map(([name, value]) => [name, namesOf(value)]);
}

function fractionsIn(document: Document): number {
  if (typeof document === 'number') return Number.isSafeInteger(document) ? 0 : 1;
  if (Array.isArray(document))
    return (document as Document[]).reduce<number>((sum, each) => sum + fractionsIn(each), 0);
  if (document === null || typeof document !== 'object' || document instanceof Uint8Array) return 0;
  return Object.values(document as Record<string, Document>).reduce<number>(
    (sum, each) => sum + fractionsIn(each),
    0,
  );
}
