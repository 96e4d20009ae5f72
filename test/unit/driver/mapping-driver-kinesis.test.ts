import type { KinesisClient } from '@aws-sdk/client-kinesis';
import {
  CreateStreamCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKinesisShardReader } from '../../../infra/local/driver/kinesis-shard-reader.ts';
import { createMappingDriver, type MappingDriver } from '../../../infra/local/driver/mapping-driver.ts';
import { systemTimer } from '../../../infra/local/timer.ts';
import type { KinesisEvent } from '../../../shared/mapping/kinesis-event.ts';
import type { MappingSnapshot } from '../../../shared/mapping/mapping-snapshot.ts';
import { DEFAULT_TIMING } from '../../../shared/mapping/mapping-settings.ts';
import { systemClock } from '../../../shared/time/clock.ts';
import { settingsOf } from '../mapping/example-settings.ts';
import { startKinesis, type KinesisEngine } from '../../support/kinesis-engine.ts';

const STREAM = 'flights';
const TIMING = { ...DEFAULT_TIMING, pollIntervalMs: 20, listIntervalMs: 200 };

describe('a mapping driver on kinesis-mock', () => {
  let engine: KinesisEngine;
  let client: KinesisClient;

  beforeAll(async () => {
    engine = await startKinesis();
    ({ client } = engine);
    await client.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: 2 }));
    await engine.untilActive(STREAM);
  });

  afterAll(() => engine.stop());

  async function put(texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      const Data = Buffer.from(text);
      await client.send(new PutRecordCommand({ StreamName: STREAM, PartitionKey: text.slice(0, 1), Data }));
    }
  }

  /** Runs a driver until the function has seen so many records. */
  async function deliver(
    count: number,
    between: () => Promise<void>,
    snapshot?: MappingSnapshot,
  ): Promise<{ texts: string[]; driver: MappingDriver }> {
    const texts: string[] = [];
    let enough = () => undefined as void;
    const done = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const driver = createMappingDriver({
      settings: settingsOf({ BatchSize: 3 }, { timing: TIMING }),
      reader: createKinesisShardReader(client, STREAM),
      invoke: async (event) => {
        for (const each of (event as KinesisEvent).Records) {
          texts.push(Buffer.from(each.kinesis.data, 'base64').toString());
        }
        return { kind: 'response', payload: null };
      },
      failures: { send: async () => undefined },
      clock: systemClock,
      timer: systemTimer,
      onProgress: () => {
        if (texts.length >= count) enough();
      },
      ...(snapshot === undefined ? {} : { snapshot }),
    });
    driver.start();
    await between();
    await done;
    await driver.stop(5000);
    return { texts, driver };
  }

  it('delivers each key in order through a merge of shards, and goes on where it stopped', async () => {
    const keys = ['a', 'b', 'c', 'd'];
    const texts = (first: number, last: number) =>
      Array.from({ length: last - first + 1 }, (_, index) =>
        keys.map((key) => `${key}${first + index}`),
      ).flat();
    await put(texts(1, 3));
    const first = await deliver(24, async () => {
      const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName: STREAM }));
      await client.send(
        new MergeShardsCommand({
          StreamName: STREAM,
          ShardToMerge: Shards[0]?.ShardId,
          AdjacentShardToMerge: Shards[1]?.ShardId,
        }),
      );
      await engine.untilActive(STREAM);
      await put(texts(4, 6));
    });
    for (const key of keys) {
      expect(first.texts.filter((text) => text.startsWith(key))).toEqual(
        [1, 2, 3, 4, 5, 6].map((number) => `${key}${number}`),
      );
    }
    expect(first.driver.status().shards.map((shard) => shard.phase)).toEqual(['done', 'done', 'reading']);

    await put(texts(7, 7));
    const snapshot = JSON.parse(JSON.stringify(first.driver.snapshot())) as MappingSnapshot;
    const second = await deliver(4, async () => undefined, snapshot);
    expect(second.texts).toEqual(texts(7, 7));
  });
});
