import type { Sink } from '../pipeline/definition.ts';
import { RecordError } from '../source/record-error.ts';
import { canonicalDocument, type CanonicalDocument } from '../state/canonical-document.ts';
import {
  CALL_OUTPUT_LIMIT_BYTES,
  KEY_LIMIT_BYTES,
  KINESIS_OUTPUT_LIMIT_BYTES,
  TABLE_OUTPUT_LIMIT_BYTES,
} from './limits.ts';

const OUTPUT_LIMITS_BYTES: Record<Sink['kind'], number> = {
  kinesis: KINESIS_OUTPUT_LIMIT_BYTES,
  dynamodb: TABLE_OUTPUT_LIMIT_BYTES,
  forEach: CALL_OUTPUT_LIMIT_BYTES,
};

/** One byte of a DynamoDB document is at most six of JSON (a control character), brackets and all. */
const JSON_BYTES_PER_DOCUMENT_BYTE = 6;

/**
 * Whether a state can be published as it is, under its own key.
 * @throws RecordError when the sink could never take it: an output that is committed and cannot be published would
 * block its shard for ever.
 */
export function requirePublishable(sink: Sink, state: CanonicalDocument, key: string): void {
  requireTableKey(sink, key);
  const limit = OUTPUT_LIMITS_BYTES[sink.kind];
  requireJson(sink, state);
  if (state.bytes * JSON_BYTES_PER_DOCUMENT_BYTE <= limit) return;
  if (sink.kind === 'dynamodb') requireFits(sink, state.bytes, limit);
  else requireFits(sink, Buffer.byteLength(jsonOf(sink, state.document)), limit);
}

/**
 * An output's value as JSON text, checked against what its sink takes.
 * @throws RecordError when the sink could never take it.
 */
export function outputJson(sink: Sink, value: unknown): string {
  const limit = OUTPUT_LIMITS_BYTES[sink.kind];
  if (sink.kind === 'dynamodb') return documentJson(sink, value, limit);
  const json = jsonOf(sink, value);
  requireFits(sink, Buffer.byteLength(json), limit);
  return json;
}

/**
 * @param key of the state. @param otherwise the destination where the sink has no key function.
 * @throws RecordError when the key function gives what is no destination key.
 */
export function destinationKeyOf(sink: Sink, value: unknown, key: string, otherwise: string): string {
  const destinationKey =
    sink.kind === 'forEach' || sink.key === undefined ? otherwise : ownKey(sink, value, key);
  requireTableKey(sink, destinationKey);
  return destinationKey;
}

/** DynamoDB takes no empty partition key. */
function requireTableKey(sink: Sink, destinationKey: string): void {
  if (destinationKey !== '' || sink.kind !== 'dynamodb' || sink.upsertBy !== 'key') return;
  throw new RecordError(
    'output',
    `the destination key for table '${sink.name}' is empty, which DynamoDB takes for no item; give the sink a ` +
      "'key' function, or upsert by 'id'",
  );
}

function ownKey(sink: Sink & { kind: 'kinesis' | 'dynamodb' }, value: unknown, key: string): string {
  const destinationKey: unknown = sink.key?.(value, key);
  if (
    typeof destinationKey !== 'string' ||
    !destinationKey.isWellFormed() ||
    Buffer.byteLength(destinationKey) > KEY_LIMIT_BYTES
  ) {
    throw new RecordError(
      'output',
      `the destination key for sink '${sink.name}' is ${
        typeof destinationKey === 'string'
          ? 'not well-formed or too long'
          : `of type ${typeof destinationKey}`
      }; it is a string of at most ${KEY_LIMIT_BYTES} bytes`,
    );
  }
  return destinationKey;
}

function jsonOf(sink: Sink, value: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    throw new RecordError('output', `the output for sink '${sink.name}' is not JSON: ${String(error)}`);
  }
  if (json === undefined) {
    throw new RecordError(
      'output',
      `the output for sink '${sink.name}' is of type ${typeof value}, which JSON has not`,
    );
  }
  return json;
}

function documentJson(sink: Sink, value: unknown, limit: number): string {
  let document: CanonicalDocument;
  try {
    document = canonicalDocument(value);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RecordError('output', `the output for table '${sink.name}': ${why}`);
  }
  requireJson(sink, document);
  requireFits(sink, document.bytes, limit);
  return jsonOf(sink, document.document);
}

function requireJson(sink: Sink, { isJson }: CanonicalDocument): void {
  if (isJson) return;
  throw new RecordError(
    'output',
    `the output for sink '${sink.name}' has a bigint or bytes, which JSON cannot hold; map it to text before the sink`,
  );
}

function requireFits(sink: Sink, bytes: number, limit: number): void {
  if (bytes <= limit) return;
  throw new RecordError(
    'output',
    `the output for sink '${sink.name}' has ${bytes} bytes, the sink takes ${limit}`,
  );
}
