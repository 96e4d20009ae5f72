import { createHash } from 'node:crypto';
import { PutRecordsCommand, type KinesisClient } from '@aws-sdk/client-kinesis';
import { envelopeJson } from './envelope.ts';
import type { Delivery, SinkPort } from './sink-port.ts';

/** PutRecords takes 500 records and 5 MiB, partition keys included (Kinesis API reference). */
const RECORDS_PER_REQUEST = 500;
const BYTES_PER_REQUEST = 5 * 1024 * 1024;
/** What the envelope adds to a value, an upper bound but for a long key, which counts with the value. */
const ENVELOPE_BYTES = 1_024;
/** Characters of a partition key (Kinesis API reference). */
const PARTITION_KEY_CHARACTERS = 256;

/** Writes outputs to a Kinesis stream, each in its envelope, the destination key as partition key. */
export class KinesisSinkPort implements SinkPort {
  readonly maximumDeliveries = RECORDS_PER_REQUEST;
  readonly maximumBytes = BYTES_PER_REQUEST - RECORDS_PER_REQUEST * ENVELOPE_BYTES;
  readonly #client: KinesisClient;
  readonly #streamName: string;
  readonly #lineage: string;

  /** @param lineage the pipeline's line of descent, part of each output's provenance. */
  constructor(client: KinesisClient, streamName: string, lineage: string) {
    this.#client = client;
    this.#streamName = streamName;
    this.#lineage = lineage;
  }

  async deliver(deliveries: readonly Delivery[]): Promise<readonly boolean[]> {
    const { Records = [] } = await this.#client.send(
      new PutRecordsCommand({
        StreamName: this.#streamName,
        Records: deliveries.map((delivery) => ({
          PartitionKey: partitionKeyOf(delivery.destinationKey),
          Data: Buffer.from(envelopeJson(this.#lineage, delivery)),
        })),
      }),
    );
    return deliveries.map((_, place) => {
      const result = Records[place];
      return result !== undefined && result.ErrorCode === undefined && result.SequenceNumber !== undefined;
    });
  }
}

/** Kinesis takes partition keys of 1 to 256 characters: other destination keys are dealt by their hash. */
export function partitionKeyOf(destinationKey: string): string {
  const isFitting = destinationKey.length >= 1 && destinationKey.length <= PARTITION_KEY_CHARACTERS;
  return isFitting ? destinationKey : createHash('sha256').update(destinationKey).digest('base64url');
}
