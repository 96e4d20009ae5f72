import { isUtf8 } from 'node:buffer';
import { gunzipSync } from 'node:zlib';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { KinesisSource } from '../pipeline/definition.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { readEnvelope, type ReadEnvelope } from './provenance.ts';
import { RecordError } from './record-error.ts';

/** What a gzipped record may unpack to: a record is 10 MiB at most, and a bomb must not end the process. */
export const UNPACKED_RECORD_LIMIT_BYTES = 32 * 1024 * 1024;

/** How many of a schema's complaints a reason names. */
const ISSUES_SHOWN = 3;

/**
 * @param onEnvelope told of an output's envelope, in a chained pipeline, before its value is validated.
 * @throws RecordError for a record that cannot be decoded, now or ever.
 */
export type Decode = (data: string, onEnvelope?: (envelope: ReadEnvelope) => void) => unknown;

/** Makes the function that turns a record's base64 data into the value that enters the pipeline. */
export function decoderOf(source: KinesisSource): Decode {
  const { codec, schema, chained } = source;
  if (chained !== undefined) {
    return (data, onEnvelope) => {
      const envelope = readEnvelope(parseJson(data));
      onEnvelope?.(envelope);
      const value = schema === undefined ? envelope.value : validate(schema, envelope.value);
      return chained.withKey === true ? { key: envelope.key, value } : value;
    };
  }
  switch (codec) {
    case 'bytes':
      return (data) => new Uint8Array(Buffer.from(data, 'base64'));
    case 'text':
      return (data) => textOf(data);
    case 'json':
      return schema === undefined ? parseJson : (data) => validate(schema, parseJson(data));
  }
}

function textOf(data: string): string {
  const packed = Buffer.from(data, 'base64');
  const bytes = packed[0] === 0x1f && packed[1] === 0x8b ? unpack(packed) : packed;
  if (!isUtf8(bytes)) {
    throw new RecordError(
      'decode',
      `the ${bytes.length} bytes are not UTF-8; use codec 'bytes' for binary records`,
    );
  }
  return bytes.toString('utf8');
}

function unpack(packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: UNPACKED_RECORD_LIMIT_BYTES });
  } catch (error) {
    throw new RecordError(
      'decode',
      `the record begins like gzip and cannot be unpacked (limit ${UNPACKED_RECORD_LIMIT_BYTES} bytes): ${String(error)}`,
    );
  }
}

function parseJson(data: string): unknown {
  const text = textOf(data);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's message quotes the record, which may hold what must not get into logs.
    throw new RecordError('decode', `the ${text.length} characters are not JSON`);
  }
}

function validate(schema: StandardSchemaV1, value: unknown): unknown {
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw new ConfigurationError(
      'The schema validates asynchronously, and decoding is synchronous so that a retry sees the same; use a schema ' +
        'without asynchronous checks and look things up elsewhere.',
    );
  }
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, ISSUES_SHOWN).map(({ path, message }) => {
    const at = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return at === '' ? message : `${at}: ${message}`;
  });
  const rest = result.issues.length - shown.length;
  throw new RecordError('schema', shown.join('; ') + (rest > 0 ? `; and ${rest} more` : ''));
}
