import { describe, expect, it } from 'vitest';
import { outputId } from '../../../shared/output/output-id.ts';
import { delivery } from './deliveries.ts';

describe('an output’s id', () => {
  it('is the same with and without parallelization (I4)', () => {
    const { entry } = delivery();
    expect(outputId('p', { ...entry, lane: 'stream/0#hash' })).toBe(outputId('p', entry));
  });

  it('tells apart pipeline, shard, record, sub-record, element, sink and index', () => {
    const { entry } = delivery();
    const others = [
      outputId('p', entry),
      outputId('q', entry),
      outputId('p', { ...entry, lane: 'stream/1' }),
      outputId('p', { ...entry, position: { sequence: '101', sub: 0 } }),
      outputId('p', { ...entry, position: { sequence: '100', sub: 1 } }),
      outputId('p', { ...entry, element: 1 }),
      outputId('p', { ...entry, sink: 'other' }),
      outputId('p', { ...entry, index: 1 }),
    ];
    expect(new Set(others).size).toBe(others.length);
  });

  it('of a redriven record is made of where it once stood in the stream', () => {
    const { entry } = delivery();
    const { lane, position } = entry;
    const redriven = {
      ...entry,
      lane: 'redrive/x.0',
      position: { sequence: '1', sub: 0 },
      origin: { lane, position },
    };
    expect(outputId('p', redriven)).toBe(outputId('p', entry));
  });
});
