import { describe, expect, it } from 'vitest';
import type { Element } from '../../../shared/engine/elements.ts';
import { foldItem } from '../../../shared/engine/fold.ts';
import { FreshValues } from '../../../shared/engine/fresh-values.ts';
import { programOf } from '../../../shared/engine/program.ts';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { partitionLane } from '../../../shared/source/lane.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import type { StateItem } from '../../../shared/state/state-item.ts';
import { recordBatch, sourceRecord } from '../../support/memory-ports.ts';

const { definition } = pipeline('p')
  .from(kinesis<string>('s'))
  .keyBy(() => 'k')
  .updateStateByKey<string[]>('seen', ([value], seen = []) => [...seen, value ?? '']);

describe('marks of partition keys', () => {
  it('cover their records in the lane of the shard, also behind a record that runs', () => {
    const records: SourceRecord[] = ['a', 'b', 'a', 'b'].map((partitionKey, number) =>
      sourceRecord(0, number, { value: `"${partitionKey}${number}"`, partitionKey }),
    );
    const { shard } = recordBatch(0, records);
    const program = programOf(definition);
    const covered = records[1] as SourceRecord;
    const loaded: StateItem = {
      pk: '1/s/k',
      revision: 7,
      marks: new Map([
        [partitionLane(shard, 'b'), { position: covered.position, arrivalSeconds: 1_800_000_000 }],
      ]),
      states: new Map([['seen', ['b1']]]),
      versions: new Map([['seen', 1]]),
      outbox: [],
    };
    const elements = records.map((record, index): Element => ({
      record: index,
      number: 0,
      eventMs: undefined,
      value: JSON.parse(Buffer.from(record.data, 'base64').toString()) as string,
      rejection: undefined,
      isShared: false,
    }));
    const scope = {
      program,
      shard,
      records,
      places: records,
      front: 0,
      firsts: new Map([[shard, (records[0] as SourceRecord).position]]),
      published: new Set<never>(),
      acknowledged: new Map<string, never>(),
      fresh: new FreshValues(program, records),
    };
    const fold = foldItem(scope, { pk: loaded.pk, key: 'k', elements }, loaded, 0, true, () => true);
    expect(fold.skipped).toEqual([1]);
    expect(fold.item?.states.get('seen')).toEqual(['b1', 'a0', 'a2', 'b3']);
  });
});
