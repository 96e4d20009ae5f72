import { describe, expect, it } from 'vitest';
import { dynamodb, kinesis, outputs, outputsOf, pipeline } from '../../../shared/index.ts';

const first = pipeline('first')
  .from(kinesis<string>('lines', { retentionHours: 48 }))
  .keyBy((line) => line)
  .to(kinesis('counts', { name: 'by-line' }))
  .to(dynamodb('table'));

describe('the outputs of a pipeline', () => {
  it('come from the stream of its sink, within the retention of its own source', () => {
    expect(outputsOf(first, 'by-line', { retentionHours: 36 }).source).toEqual({
      kind: 'kinesis',
      stream: 'counts',
      codec: 'json',
      retentionHours: 36,
      chained: { upstreamRetentionHours: 48 },
    });
  });

  it('come with their keys where asked for', () => {
    expect(outputsOf(first, 'by-line', { withKey: true }).source.chained).toEqual({
      upstreamRetentionHours: 48,
      withKey: true,
    });
  });

  it('of a chain come within the retentions of all streams before', () => {
    const second = pipeline('second')
      .from(outputsOf(first, 'by-line', { retentionHours: 36 }))
      .keyBy(String)
      .to(kinesis('more'));
    expect(outputsOf(second, 'more').source).toMatchObject({
      stream: 'more',
      retentionHours: 24,
      chained: { upstreamRetentionHours: 84 },
    });
  });

  it.each(['counts', 'table', ''])('are not read from %j, which is no Kinesis sink of it', (sink) => {
    expect(() => outputsOf(first, sink)).toThrow(
      `Pipeline 'first' has no Kinesis sink '${sink}' whose outputs could be read; its Kinesis sinks are: 'by-line'.`,
    );
  });

  it('are not read from a pipeline without a Kinesis sink', () => {
    const silent = pipeline('silent')
      .from(kinesis<string>('lines'))
      .keyBy((line) => line);
    expect(() => outputsOf(silent, 'out')).toThrow(/its Kinesis sinks are: none/);
  });

  it.each([0, 23, 24.5, Number.NaN, undefined])('are not read for %s hours upstream', (hours) => {
    expect(() => outputs('s', { upstreamRetentionHours: hours as number })).toThrow(
      /upstreamRetentionHours is .*; it is the sum of what the streams before this one keep records, whole hours from 24/,
    );
  });

  it('are frozen, and checked as any stream is', () => {
    const { source } = outputs('s', { upstreamRetentionHours: 24 });
    expect(Object.isFrozen(source) && Object.isFrozen(source.chained)).toBe(true);
    expect(() => outputs('a b', { upstreamRetentionHours: 24 })).toThrow(/the stream name/i);
    expect(() => outputs('s', { upstreamRetentionHours: 24, retentionHours: 1 })).toThrow(/Kinesis allows/);
  });
});
