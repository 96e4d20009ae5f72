import { describe, expect, it } from 'vitest';
import { kindOfThrown } from '../../../shared/source/kind-of-thrown.ts';
import { REASON_LIMIT_CHARACTERS, RecordError, rejectionOf } from '../../../shared/source/record-error.ts';

class Mischief extends Error {}

function shadowed(property: string, descriptor: PropertyDescriptor): Error {
  return Object.defineProperty<Error>(new Mischief('secret'), property, descriptor);
}

const HOSTILE: readonly (readonly [string, unknown])[] = [
  ['a symbol for a message', shadowed('message', { value: Symbol('s') })],
  ['a message that throws', shadowed('message', { get: () => fail() })],
  ['a name that throws', shadowed('name', { get: () => fail() })],
  ['a constructor that is missing', shadowed('constructor', { value: undefined })],
  ['an object without a prototype', Object.create(null)],
  ['an object whose text throws', { toString: () => fail() }],
  ['a symbol', Symbol('s')],
  ['undefined', undefined],
  ['null', null],
];

function fail(): never {
  throw new Error('while it was shown');
}

describe('a rejection', () => {
  it('tells name and message of what was thrown, and where', () => {
    expect(rejectionOf(new TypeError('no'), 'fold')).toMatchObject({
      stage: 'fold',
      reason: 'TypeError: no',
    });
    expect(rejectionOf('text', 'stateless')).toMatchObject({ stage: 'stateless', reason: 'thrown: text' });
  });

  it('keeps the stage that the engine knows', () => {
    expect(rejectionOf(new RecordError('state', 'too large'), 'fold')).toMatchObject({
      stage: 'state',
      reason: 'too large',
    });
  });

  it.each(HOSTILE)('is made of %s', (_, thrown) => {
    const { stage, reason, summary } = rejectionOf(thrown, 'fold');
    expect(stage).toBe('fold');
    expect(reason).toEqual(expect.any(String));
    expect(summary).toMatch(/^user code threw /);
  });

  it('cuts a long reason, and leaves no half character behind', () => {
    const { reason } = rejectionOf(new Error('x'.repeat(REASON_LIMIT_CHARACTERS - 8) + '😀'), 'fold');
    expect(reason).toHaveLength(REASON_LIMIT_CHARACTERS);
    expect(reason.isWellFormed()).toBe(true);
  });

  it('has a summary for logs that quotes neither what user code, nor a schema, nor a state says', () => {
    for (const error of [
      new Mischief('secret'),
      new RecordError('schema', 'secret'),
      new RecordError('state', 'secret'),
    ]) {
      const { summary } = rejectionOf(error, 'fold');
      expect(summary).toEqual(expect.any(String));
      expect(summary).not.toContain('secret');
    }
    expect(rejectionOf(new Mischief('secret'), 'fold').summary).toContain('user code threw Mischief');
  });

  it('needs no summary where the reason is in the engine’s own words', () => {
    expect(
      rejectionOf(new RecordError('decode', 'the 3 bytes are not UTF-8'), 'stateless').summary,
    ).toBeUndefined();
  });
});

describe('the kind of what was thrown', () => {
  it.each(HOSTILE)('can be told of %s', (_, thrown) => {
    expect(kindOfThrown(thrown)).toMatch(/\w/);
  });
});
