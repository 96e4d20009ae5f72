import { describe, expect, it } from 'vitest';
import { ReplayShardRecords } from '../../../shared/checkpoint/replay-shard-records.ts';
import type { ReplayPage } from '../../../shared/checkpoint/replay-source.ts';
import { shardLane } from '../../../shared/source/lane.ts';
import type { Position } from '../../../shared/source/position.ts';
import type { RecordBatch } from '../../../shared/source/record.ts';
import { recordBatch, shardId, STREAM } from '../../support/memory-ports.ts';

const { streamArn } = recordBatch(0, []);
const OF = { stream: STREAM, streamArn, shardId: shardId(0), shard: shardLane(STREAM, shardId(0)) };

function at(sequence: number, sub = 0): Position {
  return { sequence: String(sequence), sub };
}

function page(sequences: readonly number[], isAtEnd = false): ReplayPage {
  const records = sequences.map((sequence) => ({
    sequenceNumber: String(sequence),
    partitionKey: 'p',
    data: new Uint8Array(),
    approximateArrivalTimestampMs: 0,
  }));
  return { kind: 'records', records, isAtEnd };
}

/** A shard that gives these pages, and then none. */
function shardOf(pages: readonly ReplayPage[]): { readonly port: ReplayShardRecords; asked: () => number } {
  let asked = 0;
  const port = new ReplayShardRecords({
    reader: () => ({ next: async () => pages[asked++] ?? page([]) }),
  });
  return { port, asked: () => asked };
}

function sequencesOf(batch: RecordBatch | undefined): readonly number[] | undefined {
  return batch?.records.map(({ position }) => Number(position.sequence));
}

const ALWAYS = (): boolean => true;

describe('records of a shard that were handed in before', () => {
  it.each([
    ['behind pages without any', [page([]), page([]), page([5, 6])], at(5), at(9), [5, 6]],
    ['up to the last that is wanted', [page([5, 6, 7])], at(5), at(6), [5, 6]],
    ['from the oldest on where those before are gone', [page([8, 9])], at(5), at(9), [8, 9]],
    [
      'with the next page where the first holds what is known alone',
      [page([5]), page([6])],
      at(5),
      at(9),
      [5, 6],
    ],
    ['of one record, of which a part is done', [page([5])], at(5, 2), at(5, 4), [5]],
    ['of which only the one where it begins is there', [page([5]), page([], true)], at(5), at(9), [5]],
    ['of which none is there', [page([], true)], at(5), at(9), undefined],
    ['of which only later ones are there', [page([10, 11])], at(5), at(9), undefined],
    ['of a shard that is gone', [{ kind: 'gone' } as const], at(5), at(9), undefined],
  ])('are read %s', async (_, pages, from, until, expected) => {
    const { port } = shardOf(pages);
    expect(sequencesOf(await port.from(OF, from, until, ALWAYS))).toEqual(expected);
  });

  it('are not waited for until the invocation is ended: a stream that is asked too often gives none', async () => {
    const { port, asked } = shardOf([]);
    let left = 3;
    await expect(port.from(OF, at(5), at(9), () => left-- > 0)).rejects.toThrow(/gives no records of shard/);
    expect(asked()).toBe(4);
    await expect(port.from(OF, at(5), at(9), () => false)).rejects.toThrow(/gives no records of shard/);
    expect(asked()).toBe(5);
  });
});
