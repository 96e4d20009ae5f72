import { setTimeout as wait } from 'node:timers/promises';
import {
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type KinesisClient,
} from '@aws-sdk/client-kinesis';
import { invokeFunction } from '../../infra/cli/invoke-function.ts';
import { accessPipeline, type PipelineAccess, type Whereabouts } from '../../infra/cli/pipeline-access.ts';
import { currentPositions } from '../../infra/cli/positions.ts';
import { rowsOf } from '../../infra/cli/sink-tables.ts';
import { keyStates, stateLine, type KeyState } from '../../infra/cli/state-lines.ts';
import { scanStates } from '../../infra/cli/state-scan.ts';
import { OrderedProducer } from '../../infra/local/producer/ordered-producer.ts';
import { routeOf } from '../../infra/local/producer/partition-key.ts';
import { reshard, type ReshardStep } from '../../infra/local/reshard.ts';
import { createKinesisEvent } from '../../shared/mapping/kinesis-event.ts';
import type { StreamRecord } from '../../shared/mapping/stream-record.ts';
import type { TimerSweep } from '../../shared/engine/sweep-timers.ts';
import { deadLetterPrefix, S3DeadLetterStore } from '../../shared/output/s3-dead-letters.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { MemoryBlobStore } from '../../shared/state/memory-blob-store.ts';
import { systemClock } from '../../shared/time/clock.ts';

const PAUSE_MS = 200;
const nowMs = (): number => systemClock.nowMs();
/** A new mapping on AWS takes minutes before it reads. */
const SETTLING_LIMIT_MS = 480_000;
const READ_LIMIT = 1_000;
/** Sweeps of timers in a row, each of which lifts what is idle or fires what is due. */
const SWEEPS = 100;

/** A pipeline that is deployed somewhere: what tests do to it and ask of it, by AWS's APIs alone. */
export class DeployedPipeline {
  readonly #pipeline: Pipeline;
  readonly #access: PipelineAccess;

  private constructor(pipeline: Pipeline, access: PipelineAccess) {
    this.#pipeline = pipeline;
    this.#access = access;
  }

  static async at(where: Whereabouts, pipeline: Pipeline): Promise<DeployedPipeline> {
    return new DeployedPipeline(pipeline, await accessPipeline(pipeline.definition.name, where));
  }

  close(): void {
    this.#access.close();
  }

  /** Sends lines in order per key; with one partition key for all, in order. */
  async send(lines: readonly string[], partitionKey?: string): Promise<void> {
    const producer = new OrderedProducer({
      client: this.#access.kinesis,
      streamName: this.#source,
      isOneLine: partitionKey !== undefined,
      wait: (ms) => wait(ms),
    });
    for (const line of lines) {
      const data = Buffer.from(line);
      const route = routeOf(this.#pipeline.definition, data);
      await producer.send({ data, partitionKey: partitionKey ?? route.partitionKey });
    }
    await producer.flush();
  }

  /**
   * Resolves when progress has come to the end of every shard of its streams: all is committed and published then.
   * @throws Error that says where it stands, when that takes longer than anything does that goes on.
   */
  async settled(): Promise<void> {
    let positions: Awaited<ReturnType<typeof currentPositions>> = [];
    for (let waitedMs = 0; waitedMs < SETTLING_LIMIT_MS; waitedMs += PAUSE_MS) {
      positions = await currentPositions(this.#access, nowMs, 1);
      if (positions.length > 0 && positions.every(({ behind }) => behind?.records === 0)) return;
      await wait(PAUSE_MS);
    }
    throw new Error(
      `${this.#pipeline.definition.name} is not through after ${SETTLING_LIMIT_MS / 1_000} s: ${JSON.stringify(positions)}`,
    );
  }

  /** The state of each key, one a line, in the order of the keys. */
  async dump(): Promise<string> {
    const { dynamodb, stateTable } = this.#access;
    const states = await scanStates(dynamodb, stateTable, new MemoryBlobStore());
    return keyStates(this.#pipeline.definition, states)
      .map((state) => `${stateLine(state)}\n`)
      .join('');
  }

  /** What stands in the table of a sink. */
  async rows(sink: string): Promise<KeyState[]> {
    return rowsOf(this.#access.dynamodb, this.#access.sinks.get(sink) ?? '');
  }

  /** Puts other bytes into a dead letter, in the bucket: the record as it should have been. */
  async mend(letter: string, line: string): Promise<void> {
    const { s3, bucket, pipeline } = this.#access;
    const letters = new S3DeadLetterStore(s3, bucket, deadLetterPrefix(pipeline));
    const found = await letters.get(letter);
    if (found === undefined) throw new Error(`There is no dead letter ${letter}.`);
    await letters.put(letter, { ...found, data: Buffer.from(line).toString('base64') });
  }

  /** Splits or merges shards of its source. */
  async reshard(step: ReshardStep): Promise<void> {
    const done = await reshard(this.#access.kinesis, this.#source, step);
    if (done === undefined) throw new Error(`No shard of ${this.#source} can be ${step.kind}.`);
  }

  /**
   * Delivers every shard of its source from the beginning, in batches of another length, as a mapping does that has
   * forgotten how far it was. For a pipeline that has settled: what a batch does not begin with counts as acknowledged.
   * @returns how many records that were.
   */
  async deliverAgain(batchSize: number): Promise<number> {
    const { kinesis } = this.#access;
    const { StreamDescriptionSummary } = await kinesis.send(
      new DescribeStreamSummaryCommand({ StreamName: this.#source }),
    );
    const streamArn = StreamDescriptionSummary?.StreamARN ?? '';
    const source = {
      streamArn,
      region: streamArn.split(':')[3] ?? '',
      invokeIdentityArn: `arn:aws:iam::${streamArn.split(':')[4] ?? ''}:role/tests`,
    };
    let count = 0;
    for (const { shardId } of (await currentPositions(this.#access, nowMs)).filter(
      ({ stream }) => stream === this.#source,
    )) {
      const records = await recordsOf(kinesis, this.#source, shardId);
      for (let from = 0; from < records.length; from += batchSize) {
        const batch = records.slice(from, from + batchSize);
        const answer = await this.#invoke(createKinesisEvent(source, shardId, batch));
        const { batchItemFailures = [] } = (answer ?? {}) as { batchItemFailures?: readonly unknown[] };
        if (batchItemFailures.length > 0) throw new Error(`A batch failed: ${JSON.stringify(answer)}`);
      }
      count += records.length;
    }
    return count;
  }

  /** Fires timers as the schedule does, until nothing more comes of it. */
  async fireTimers(): Promise<void> {
    for (let count = 0; count < SWEEPS; count++) {
      const { fired, published, lifted } = (await this.#invoke({ tidemark: 'timers' })) as TimerSweep;
      if (fired === 0 && published === 0 && lifted === 0) return;
    }
    throw new Error(`Timers still fire after ${SWEEPS} sweeps.`);
  }

  get #source(): string {
    return this.#access.streams[0] ?? '';
  }

  async #invoke(event: object): Promise<unknown> {
    const outcome = await invokeFunction(this.#access.lambda, this.#access.functionName, event);
    if ('failure' in outcome) throw new Error(outcome.failure);
    return outcome.answer;
  }
}

/** The records of a shard behind a position, or from its beginning, to its end. */
async function recordsOf(
  client: KinesisClient,
  StreamName: string,
  ShardId: string,
  after?: string,
): Promise<StreamRecord[]> {
  const found: StreamRecord[] = [];
  const { ShardIterator: first } = await client.send(
    new GetShardIteratorCommand({
      StreamName,
      ShardId,
      ...(after === undefined
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: after }),
    }),
  );
  for (let ShardIterator = first; ShardIterator !== undefined;) {
    const page = await client.send(new GetRecordsCommand({ ShardIterator, Limit: READ_LIMIT }));
    for (const {
      SequenceNumber = '',
      PartitionKey = '',
      Data,
      ApproximateArrivalTimestamp,
    } of page.Records ?? []) {
      found.push({
        sequenceNumber: SequenceNumber,
        partitionKey: PartitionKey,
        data: Data ?? new Uint8Array(),
        approximateArrivalTimestampMs: ApproximateArrivalTimestamp?.getTime() ?? 0,
      });
    }
    if (page.MillisBehindLatest === 0) break;
    ShardIterator = page.NextShardIterator;
  }
  return found;
}
