import { createHash } from 'node:crypto';

/**
 * A UUID (version 5 by its form) that depends on its arguments alone: the mapping must give the same actions for the
 * same inputs, and the documents that it sends need ids of the usual form.
 */
export function deterministicUuid(namespace: string, number: number): string {
  const bytes = createHash('sha256').update(`${namespace}/${number}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
