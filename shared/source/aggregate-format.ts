import { createHash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { AGGREGATE_MAGIC, AGGREGATE_RECORDS_LIMIT } from './aggregate.ts';
import { RecordError } from './record-error.ts';
import { hashKeyDigits } from './shard-ranges.ts';

/** Its own module, loaded at the first aggregate: most streams have none. */

/** A partition key or an explicit hash key of an aggregate's tables. */
export class AggregateKey {
  readonly text: string;
  #hashDigits: string | undefined;

  /** @param hashDigits of an explicit hash key; a partition key is hashed when somebody asks, and once. */
  constructor(text: string, hashDigits?: string) {
    this.text = text;
    this.#hashDigits = hashDigits;
  }

  /** The hash key that decides over the shard: 32 hexadecimal digits. */
  get hashDigits(): string {
    return (this.#hashDigits ??= createHash('md5').update(this.text).digest('hex'));
  }
}

/** One user record of an aggregate. */
export interface UserRecord {
  readonly partitionKey: AggregateKey;
  /** The key whose hash decides over the shard: the explicit hash key where it has one. */
  readonly hashKey: AggregateKey;
  readonly data: Buffer;
}

const DIGEST_BYTES = 16;

/** Of message AggregatedRecord (aggregation-format.md in the repository of the Kinesis Producer Library; proto2). */
const AGGREGATE_FIELD = { partitionKeys: 1, explicitHashKeys: 2, records: 3 } as const;
/** Of message Record. Its tags (4) are used by no producer and no consumer. */
const RECORD_FIELD = { partitionKeyIndex: 1, explicitHashKeyIndex: 2, data: 3 } as const;

/**
 * Reads what the Kinesis Producer Library made of several user records: magic bytes, a protobuf message, its MD5.
 * @throws RecordError of stage `decode` where it is not whole and right, in words that quote nothing of it.
 */
export function readAggregate(bytes: Buffer): UserRecord[] {
  const end = bytes.length - DIGEST_BYTES;
  if (end < AGGREGATE_MAGIC.length) throw malformed(`${bytes.length} bytes are too few`);
  const message = bytes.subarray(AGGREGATE_MAGIC.length, end);
  if (!createHash('md5').update(message).digest().equals(bytes.subarray(end))) {
    throw malformed('its digest is not that of its bytes; it was cut or changed');
  }
  let packed: PackedAggregate;
  try {
    packed = readMessage(message);
  } catch (error) {
    if (error instanceof RecordError) throw error;
    throw malformed(
      `its protobuf message cannot be read (${error instanceof Error ? error.message : 'unknown'})`,
    );
  }
  const { partitionKeys, explicitHashKeys, records } = packed;
  if (records.length === 0) throw malformed('it holds no records');
  return records.map(({ partitionKey, explicitHashKey, data }, number): UserRecord => {
    const key = entry(partitionKeys, partitionKey, number, 'partition');
    const hashKey =
      explicitHashKey === undefined ? key : entry(explicitHashKeys, explicitHashKey, number, 'explicit hash');
    return { partitionKey: key, hashKey, data };
  });
}

interface PackedRecord {
  readonly partitionKey: number;
  readonly explicitHashKey: number | undefined;
  readonly data: Buffer;
}

interface PackedAggregate {
  readonly partitionKeys: AggregateKey[];
  readonly explicitHashKeys: AggregateKey[];
  readonly records: PackedRecord[];
}

function entry(table: readonly AggregateKey[], index: number, record: number, name: string): AggregateKey {
  const key = table[index];
  if (key !== undefined) return key;
  throw malformed(`record ${record} names ${name} key ${index} of ${table.length}`);
}

function readMessage(message: Buffer): PackedAggregate {
  const reader = new BinaryReader(message);
  const packed: PackedAggregate = { partitionKeys: [], explicitHashKeys: [], records: [] };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    switch (field) {
      case AGGREGATE_FIELD.partitionKeys:
        packed.partitionKeys.push(new AggregateKey(textOf(bytesOf(reader, message, type))));
        break;
      case AGGREGATE_FIELD.explicitHashKeys: {
        const text = textOf(bytesOf(reader, message, type));
        const digits = hashKeyDigits(text);
        if (digits === undefined)
          throw malformed('an explicit hash key is not 0 to 2^128 - 1 in decimal digits');
        packed.explicitHashKeys.push(new AggregateKey(text, digits));
        break;
      }
      case AGGREGATE_FIELD.records:
        if (packed.records.length === AGGREGATE_RECORDS_LIMIT) {
          throw malformed(`it holds more than ${AGGREGATE_RECORDS_LIMIT} records`);
        }
        packed.records.push(readRecord(bytesOf(reader, message, type), packed.records.length));
        break;
      default:
        reader.skip(type, field);
    }
  }
  return packed;
}

function readRecord(bytes: Buffer, number: number): PackedRecord {
  const reader = new BinaryReader(bytes);
  let partitionKey: number | undefined;
  let explicitHashKey: number | undefined;
  let data: Buffer | undefined;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    switch (field) {
      case RECORD_FIELD.partitionKeyIndex:
        partitionKey = indexOf(reader, type);
        break;
      case RECORD_FIELD.explicitHashKeyIndex:
        explicitHashKey = indexOf(reader, type);
        break;
      case RECORD_FIELD.data:
        data = bytesOf(reader, bytes, type);
        break;
      default:
        reader.skip(type, field);
    }
  }
  if (partitionKey === undefined) throw malformed(`record ${number} names no partition key`);
  if (data === undefined) throw malformed(`record ${number} has no data`);
  return { partitionKey, explicitHashKey, data };
}

function bytesOf(reader: BinaryReader, bytes: Buffer, type: WireType): Buffer {
  requireType(type, WireType.LengthDelimited);
  const length = reader.uint32();
  const start = reader.pos;
  reader.pos += length;
  if (reader.pos > reader.len) throw malformed('its protobuf message ends in the middle of a field');
  return bytes.subarray(start, reader.pos);
}

function indexOf(reader: BinaryReader, type: WireType): number {
  requireType(type, WireType.Varint);
  // 64 bits: cut to 32, a wrong index could become a right one.
  return Number(reader.uint64());
}

function requireType(type: WireType, expected: WireType): void {
  if (type !== expected)
    throw malformed(`a field of its protobuf message has wire type ${type}, not ${expected}`);
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw malformed('a key is not UTF-8');
  return bytes.toString('utf8');
}

function malformed(reason: string): RecordError {
  return new RecordError(
    'decode',
    `the record begins like an aggregate of the Kinesis Producer Library (F3 89 9A C2) and is none: ${reason}`,
  );
}
