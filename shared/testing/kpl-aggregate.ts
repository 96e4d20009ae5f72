import { createHash } from 'node:crypto';

/** A user record for an aggregate. */
export interface RecordToAggregate {
  readonly partitionKey: string;
  /** 0 to 2^128 - 1 in decimal digits. */
  readonly explicitHashKey?: string;
  readonly data: Uint8Array;
}

/**
 * Packs records as the Kinesis Producer Library does: magic bytes, protobuf message AggregatedRecord, MD5 of it. Written
 * by hand and not with the library that reads aggregates, so that one can tell on the other.
 */
export function aggregate(records: readonly RecordToAggregate[]): Buffer {
  const partitionKeys = tableOf(records.map(({ partitionKey }) => partitionKey));
  const hashKeys = tableOf(records.flatMap(({ explicitHashKey }) => explicitHashKey ?? []));
  const message = Buffer.concat([
    ...[...partitionKeys.keys()].map((key) => bytesField(1, Buffer.from(key))),
    ...[...hashKeys.keys()].map((key) => bytesField(2, Buffer.from(key))),
    ...records.map(({ partitionKey, explicitHashKey, data }) =>
      bytesField(
        3,
        Buffer.concat([
          numberField(1, partitionKeys.get(partitionKey) ?? 0),
          ...(explicitHashKey === undefined ? [] : [numberField(2, hashKeys.get(explicitHashKey) ?? 0)]),
          bytesField(3, data),
        ]),
      ),
    ),
  ]);
  return sealAggregate(message);
}

/** Magic bytes and digest around a message, whatever it is. */
export function sealAggregate(message: Uint8Array): Buffer {
  const magic = Buffer.from('f3899ac2', 'hex');
  return Buffer.concat([magic, message, createHash('md5').update(message).digest()]);
}

/** Each key once, with its place. */
function tableOf(keys: readonly string[]): Map<string, number> {
  return new Map([...new Set(keys)].map((key, place) => [key, place]));
}

/** A length-delimited field of a protobuf message. */
export function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

/** A varint field of a protobuf message. */
export function numberField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
