import { type KinesisClient, PutRecordsCommand, type PutRecordsResultEntry } from '@aws-sdk/client-kinesis';
import { compareSequences } from '../../../shared/source/position.ts';

export interface OutgoingRecord {
  readonly data: Buffer;
  readonly partitionKey: string;
}

export interface OrderedProducerOptions {
  readonly client: Pick<KinesisClient, 'send'>;
  readonly streamName: string;
  /**
   * Whether the stream is to have all records in the order in which they are given, and not only those of one partition
   * key: slower, for each request waits for the one before it and ends in front of a key that it has already.
   */
  readonly isOneLine?: boolean;
  /** Waits, in milliseconds, before failed records are sent again. */
  readonly wait: (ms: number) => Promise<void>;
}

/** What Kinesis takes in one PutRecords request [PutRecords]. */
const MAXIMUM_REQUEST_RECORDS = 500;
const MAXIMUM_REQUEST_BYTES = 5 * 1024 * 1024;
/** What Kinesis takes as one record, partition key included, unless the stream was raised [PutRecords]. */
export const MAXIMUM_RECORD_BYTES = 1024 * 1024;
/** What is held here, so that keys that come seldom do not wait for one that comes often. */
const MAXIMUM_HELD_RECORDS = 2_500;
const MAXIMUM_HELD_BYTES = 16 * 1024 * 1024;
const REQUESTS_IN_FLIGHT = 2;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
/** Failures of one record in a row: about half a minute of throttling. */
const MAXIMUM_FAILURES = 12;

interface Held {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly number: number;
  failures: number;
}

/**
 * Sends records to a stream in order per partition key. PutRecords promises no order and may take a later record of a
 * key and not an earlier one; so a request never holds two records of one key, and a key's next record waits until
 * the one before it was taken. What holds for a key holds for all of them where `isOneLine` asks for it.
 */
export class OrderedProducer {
  readonly #options: OrderedProducerOptions;
  readonly #queues = new Map<string, Held[]>();
  /** Keys whose first record waits and is not in flight, longest waiting first. */
  readonly #ready = new Set<string>();
  /** In one line: those that wait and are not in flight, in order. */
  #line: Held[] = [];
  readonly #takenOutOfOrder = new Set<number>();
  readonly #lastSent = new Map<string, string>();
  readonly #inFlight = new Set<Promise<void>>();
  #heldRecords = 0;
  #heldBytes = 0;
  #accepted = 0;
  #sent = 0;
  #sentInOrder = 0;
  #isPumpComing = false;
  #failure: Error | undefined;

  constructor(options: OrderedProducerOptions) {
    this.#options = options;
  }

  /** Records that the stream has taken. */
  get sent(): number {
    return this.#sent;
  }

  /** So many records from the first on are all taken, with no gap. */
  get sentInOrder(): number {
    return this.#sentInOrder;
  }

  /** By shard id: the highest sequence number that was given. */
  get lastSent(): ReadonlyMap<string, string> {
    return this.#lastSent;
  }

  /**
   * Takes a record, and waits while too many are held.
   * @throws RangeError for a record that is larger than Kinesis takes; Error when a request fails for good.
   */
  async send(record: OutgoingRecord): Promise<void> {
    const bytes = record.data.length + Buffer.byteLength(record.partitionKey);
    if (bytes > MAXIMUM_RECORD_BYTES) {
      throw new RangeError(
        `A record has ${bytes} bytes with its partition key, and Kinesis takes ${MAXIMUM_RECORD_BYTES}; split it.`,
      );
    }
    const held: Held = { record, bytes, number: this.#accepted++, failures: 0 };
    this.#heldRecords += 1;
    this.#heldBytes += bytes;
    const queue = this.#queues.get(record.partitionKey);
    if (this.#options.isOneLine === true) {
      this.#line.push(held);
    } else if (queue === undefined) {
      this.#queues.set(record.partitionKey, [held]);
      this.#ready.add(record.partitionKey);
    } else {
      queue.push(held);
    }
    this.#pumpSoon();
    while (this.#heldRecords >= MAXIMUM_HELD_RECORDS || this.#heldBytes >= MAXIMUM_HELD_BYTES) {
      await this.#untilTaken();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when all that was given is taken. @throws Error when a request fails for good. */
  async flush(): Promise<void> {
    while (this.#heldRecords > 0) await this.#untilTaken();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #untilTaken(): Promise<void> {
    this.#pump();
    await Promise.race(this.#inFlight);
    if (this.#failure === undefined) return;
    await Promise.all(this.#inFlight);
    throw this.#failure;
  }

  /** Records that come in one go share requests. */
  #pumpSoon(): void {
    if (this.#isPumpComing) return;
    this.#isPumpComing = true;
    setImmediate(() => {
      this.#isPumpComing = false;
      this.#pump();
    });
  }

  #pump(): void {
    const isOneLine = this.#options.isOneLine === true;
    const inFlight = isOneLine ? 1 : REQUESTS_IN_FLIGHT;
    while (
      this.#failure === undefined &&
      this.#inFlight.size < inFlight &&
      (isOneLine ? this.#line.length : this.#ready.size) > 0
    ) {
      const request = (isOneLine ? this.#putLine(this.#cutLine()) : this.#put(this.#cut()))
        .catch((error: unknown) => {
          this.#failure ??= error instanceof Error ? error : new Error(String(error));
        })
        .finally(() => {
          this.#inFlight.delete(request);
          this.#pump();
        });
      this.#inFlight.add(request);
    }
  }

  #cut(): Held[] {
    const batch: Held[] = [];
    let bytes = 0;
    for (const key of this.#ready) {
      const held = this.#queues.get(key)?.[0];
      if (held === undefined) throw new Error(`Partition key ${key} is ready and has no record.`);
      bytes += held.bytes;
      if (batch.length === MAXIMUM_REQUEST_RECORDS || (batch.length > 0 && bytes > MAXIMUM_REQUEST_BYTES))
        break;
      this.#ready.delete(key);
      batch.push(held);
    }
    return batch;
  }

  /** As far as no partition key comes a second time. */
  #cutLine(): Held[] {
    const keys = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const held of this.#line) {
      bytes += held.bytes;
      const isFull = count === MAXIMUM_REQUEST_RECORDS || (count > 0 && bytes > MAXIMUM_REQUEST_BYTES);
      if (isFull || keys.has(held.record.partitionKey)) break;
      keys.add(held.record.partitionKey);
      count += 1;
    }
    return this.#line.splice(0, count);
  }

  /** What fails goes first in the next request. */
  async #putLine(batch: readonly Held[]): Promise<void> {
    const results = await this.#request(batch);
    const failed = batch.filter((held, at) => !this.#isTaken(held, results[at]));
    this.#line.unshift(...failed);
    if (failed.length > 0) await this.#pauseBehind(Math.max(...failed.map(({ failures }) => failures)));
  }

  async #request(batch: readonly Held[]): Promise<readonly PutRecordsResultEntry[]> {
    const { client, streamName } = this.#options;
    const { Records = [] } = await client.send(
      new PutRecordsCommand({
        StreamName: streamName,
        Records: batch.map(({ record }) => ({ Data: record.data, PartitionKey: record.partitionKey })),
      }),
    );
    return Records;
  }

  async #pauseBehind(failures: number): Promise<void> {
    await this.#options.wait(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)));
  }

  async #put(batch: readonly Held[]): Promise<void> {
    const results = await this.#request(batch);
    let failures = 0;
    const failed: string[] = [];
    for (const [at, held] of batch.entries()) {
      const { partitionKey } = held.record;
      if (this.#isTaken(held, results[at])) {
        if (this.#moveOn(partitionKey)) this.#ready.add(partitionKey);
      } else {
        failures = Math.max(failures, held.failures);
        failed.push(partitionKey);
      }
    }
    if (failed.length === 0) return;
    await this.#pauseBehind(failures);
    for (const key of failed) this.#ready.add(key);
  }

  #isTaken(held: Held, result: PutRecordsResultEntry | undefined): boolean {
    const { SequenceNumber, ShardId } = result ?? {};
    if (SequenceNumber === undefined || ShardId === undefined) {
      held.failures += 1;
      if (held.failures <= MAXIMUM_FAILURES) return false;
      throw new Error(
        `Stream ${this.#options.streamName} refused a record ${held.failures} times: ` +
          `${result?.ErrorCode ?? 'no code'}: ${result?.ErrorMessage ?? 'no reason'}.`,
      );
    }
    const last = this.#lastSent.get(ShardId);
    if (last === undefined || compareSequences(SequenceNumber, last) > 0)
      this.#lastSent.set(ShardId, SequenceNumber);
    this.#sent += 1;
    this.#heldRecords -= 1;
    this.#heldBytes -= held.bytes;
    this.#takenOutOfOrder.add(held.number);
    while (this.#takenOutOfOrder.delete(this.#sentInOrder)) this.#sentInOrder += 1;
    return true;
  }

  /** @returns whether the key has a next record. */
  #moveOn(key: string): boolean {
    const queue = this.#queues.get(key) ?? [];
    queue.shift();
    if (queue.length > 0) return true;
    this.#queues.delete(key);
    return false;
  }
}
