/** A record as GetRecords gives it, with its time in milliseconds. */
export interface StreamRecord {
  /** Decimal digits; compared as an integer. */
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** The bytes, or the same as base64 text. */
  readonly data: Uint8Array | string;
  /** Milliseconds since the epoch; neither exact nor monotonic. */
  readonly approximateArrivalTimestampMs: number;
}

/** The record's data as base64 text. */
export function base64Of(data: Uint8Array | string): string {
  if (typeof data === 'string') return data;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}

/** The record's data as bytes. */
export function bytesOf(data: Uint8Array | string): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, 'base64') : data;
}
