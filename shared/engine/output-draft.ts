import type { Sink } from '../pipeline/definition.ts';
import { RecordError } from '../source/record-error.ts';
import { canonicalDocument, type CanonicalDocument } from '../state/canonical-document.ts';
import type { OutputEntry } from '../state/state-item.ts';
import {
  CALL_OUTPUT_LIMIT_BYTES,
  KEY_LIMIT_BYTES,
  KINESIS_OUTPUT_LIMIT_BYTES,
  TABLE_OUTPUT_LIMIT_BYTES,
} from './limits.ts';
import type { OutputDraft } from './outbox-draft.ts';
import type { SinkStep } from './program.ts';
import type { Cell } from './state-cell.ts';

const OUTPUT_LIMITS_BYTES: Record<Sink['kind'], number> = {
  kinesis: KINESIS_OUTPUT_LIMIT_BYTES,
  dynamodb: TABLE_OUTPUT_LIMIT_BYTES,
  forEach: CALL_OUTPUT_LIMIT_BYTES,
};

/** One byte of a DynamoDB document is at most six of JSON (a control character), brackets and all. */
const JSON_BYTES_PER_DOCUMENT_BYTE = 6;

/**
 * Makes an output, checked against what its sink takes: one that is committed and cannot be published would block
 * its shard for ever.
 * @throws RecordError when the sink could never take it.
 */
export function outputDraft(
  step: SinkStep,
  cells: readonly Cell[],
  key: string,
  value: unknown,
  origin: Pick<OutputEntry, 'lane' | 'position' | 'element' | 'index' | 'arrivalMs'>,
): OutputDraft {
  const { sink, isChange, stateOf } = step;
  const limit = OUTPUT_LIMITS_BYTES[sink.kind];
  const destinationKey = sink.kind === 'forEach' || sink.key === undefined ? key : ownKey(sink, value, key);
  const cell = stateOf === undefined ? undefined : cells[stateOf.cell];
  const held = cell?.refer();
  let stored: OutputDraft['value'];
  if (cell !== undefined && held !== undefined) {
    requireJson(sink, held);
    if (held.bytes * JSON_BYTES_PER_DOCUMENT_BYTE > limit)
      requireFits(sink, jsonOf(sink, held.document), limit);
    stored = { cell, document: held };
  } else {
    const json = sink.kind === 'dynamodb' ? documentJson(sink, value, limit) : jsonOf(sink, value);
    requireFits(sink, json, limit);
    stored = { json };
  }
  return { kind: 'output', sink: sink.name, destinationKey, isChange, value: stored, ...origin };
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
  if (document.bytes > limit) throw tooLarge(sink, document.bytes, limit);
  return jsonOf(sink, document.document);
}

function requireJson(sink: Sink, { isJson }: CanonicalDocument): void {
  if (isJson) return;
  throw new RecordError(
    'output',
    `the output for sink '${sink.name}' has a bigint or bytes, which JSON cannot hold; map it to text before the sink`,
  );
}

function requireFits(sink: Sink, json: string, limit: number): void {
  const bytes = Buffer.byteLength(json);
  if (bytes > limit) throw tooLarge(sink, bytes, limit);
}

function tooLarge(sink: Sink, bytes: number, limit: number): RecordError {
  return new RecordError(
    'output',
    `the output for sink '${sink.name}' has ${bytes} bytes, the sink takes ${limit}`,
  );
}
