import { describe, expect, it } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { KEY_LIMIT_BYTES } from '../../../shared/engine/limits.ts';
import { testWorld } from '../../support/memory-ports.ts';
import { deliver, drain, itemOf, letters, records, stateOf } from './deliver.ts';

const subject = pipeline('p')
  .from(kinesis<{ key: string }>('s'))
  .keyBy(({ key }) => key)
  .updateStateByKey<number>('n', (_, n = 0) => n + 1)
  .to(kinesis('out'));

describe('a key', () => {
  it.each([
    ['empty', ''],
    ['the name of a prototype', '__proto__'],
    ['the name of a method', 'constructor'],
    ['a path', '1/d/x/../c'],
    ['of characters that need four bytes', '😀'],
    ['of control characters', '\u0000\n'],
    ['as long as it may be, in bytes', 'ü'.repeat(KEY_LIMIT_BYTES / 2)],
  ])('has state of its own where it is %s', async (_, key) => {
    const world = testWorld(subject);
    await drain(world, records([{ key }, { key: 'other' }]));
    await drain(world, records([{ key }], 2));
    expect(stateOf(world, key, 'n')).toBe(2);
    expect(stateOf(world, 'other', 'n')).toBe(1);
    expect(world.sinks.get('out')?.delivered.at(-1)).toMatchObject({ destinationKey: key, json: '2' });
    expect(world.letters.size).toBe(0);
  });

  it.each([
    ['a number', 5, /keyBy gave a value of type number; a key is a string/],
    ['null', null, /keyBy gave null/],
    ['missing', undefined, /keyBy gave a value of type undefined/],
    ['an array', ['a'], /keyBy gave an array/],
    ['an object', {}, /keyBy gave a value of type object/],
    ['a lone surrogate', '\ud83d', /lone surrogate/],
    ['10 KB long', 'x'.repeat(10_240), /the key has 10240 bytes of UTF-8, the limit is 2000; hash long keys/],
    ['one byte too long', `${'ü'.repeat(KEY_LIMIT_BYTES / 2)}x`, /the key has 2001 bytes/],
  ])('makes its record a dead letter where it is %s, and the others go on', async (_, key, reason) => {
    const world = testWorld(subject);
    const { report } = await deliver(world, records([{ key: 'a' }, { key }, { key: 'a' }]));
    expect(report).toMatchObject({ applied: 2, deadLetters: 1 });
    expect(letters(world)).toEqual([
      { stage: 'key', reason: expect.stringMatching(reason) as string, key: undefined },
    ]);
    expect(itemOf(world, 'a')?.states.get('n')).toBe(2);
  });
});
