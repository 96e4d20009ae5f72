import { expect, it } from 'vitest';
import { summaryOf } from '../../../infra/cli/compare.ts';
import { CommonSpan } from '../../../infra/compare/common-span.ts';
import type { SinkReport } from '../../../infra/compare/compare-pipelines.ts';
import { Tally } from '../../../infra/compare/tally.ts';
import type { Manifest } from '../../../shared/checkpoint/manifest.ts';
import { encodePosition } from '../../../shared/source/position.ts';

function at(sequence: number) {
  const position = encodePosition({ sequence: String(sequence), sub: 0 });
  return [{ stream: 's', shardId: '0', shard: 's/0', position }];
}

function outcomeOf({ differing = 0, open = 0, ...report }: Partial<Tally> & Pick<SinkReport, 'sinceMs'>) {
  const tally = Object.assign(new Tally(1), { equal: 1, differing, open });
  const pair = { old: 'sink', new: 'sink', kind: 'stream', outputs: 'event' } as const;
  const span = new CommonSpan(at(1), [at(5), at(6)]);
  const sinks = { pairs: [pair], alone: { old: [], new: [] } };
  const forked = { id: 'checkpoint' } as Manifest;
  return summaryOf({ span, sinks: [{ pair, tally, ...report }], states: undefined }, sinks, forked, 'a', 'b')
    .outcome;
}

it('a comparison is equal only where all that was published behind the fork could still be read', () => {
  expect(outcomeOf({})).toBe('equal');
  expect(outcomeOf({ open: 1 })).toBe('incomplete');
  expect(outcomeOf({ sinceMs: 1_000 })).toBe('incomplete');
  expect(outcomeOf({ sinceMs: 1_000, differing: 1 })).toBe('different');
});
