import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { READ_UNIT_BYTES, WRITE_UNIT_BYTES } from './dynamodb-limits.ts';
import { decimalBytes } from './number-bytes.ts';

/** A row as the low-level client sends and receives it. */
export type Row = Record<string, AttributeValue>;

/** The size of a row by DynamoDB's rules ("DynamoDB item sizes and formats"): UTF-8 names and values. */
export function rowBytes(row: Row): number {
  let bytes = 0;
  for (const name of Object.keys(row)) {
    bytes += Buffer.byteLength(name) + attributeBytes(row[name] as AttributeValue);
  }
  return bytes;
}

function attributeBytes(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return decimalBytes(value.N);
  if (value.M !== undefined) return 3 + Object.keys(value.M).length + rowBytes(value.M);
  if (value.L !== undefined) {
    return value.L.reduce((bytes, element) => bytes + 1 + attributeBytes(element), 3);
  }
  if (value.B !== undefined) return value.B.length;
  if (value.SS !== undefined) return value.SS.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0);
  if (value.NS !== undefined) return value.NS.reduce((bytes, text) => bytes + decimalBytes(text), 0);
  if (value.BOOL !== undefined || value.NULL !== undefined) return 1;
  throw new TypeError(`An attribute of type ${Object.keys(value).join()} is none that Tidemark writes.`);
}

/** Write units of one write: those of the larger of the row before and after; a row that is missing counts as 0. */
export function writeUnits(bytesBefore: number, bytesAfter: number): number {
  return Math.max(1, Math.ceil(Math.max(bytesBefore, bytesAfter) / WRITE_UNIT_BYTES));
}

/** Read units of one eventually consistent query; one that finds nothing costs the least that there is. */
export function queryUnits(bytes: number): number {
  return readUnits(bytes) / 2;
}

/** Read units of one consistent read; a row that is missing costs one too. */
export function readUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / READ_UNIT_BYTES));
}
