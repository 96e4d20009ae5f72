import { decodeMarkPosition, type MarkPosition } from './position.ts';
import { RecordError } from './record-error.ts';

/**
 * What an output tells the next pipeline of where it comes from. Outputs of one lineage, lane, sink and destination
 * are put in the order of their positions, repeats aside; between any others there is no order.
 */
export interface Provenance {
  /** The line of descent of the pipeline that made it: its name. */
  readonly lineage: string;
  /** The lane of the record that made it. */
  readonly lane: string;
  /** The sink that put it: two sinks of one stream go on independently of each other. */
  readonly sink: string;
  /** Hash of the destination key: order holds only per destination key. */
  readonly destination: string;
  /** Encoded position of the record, element, index. */
  readonly position: string;
  /** Arrival of the record at the head of the chain, milliseconds since the epoch. */
  readonly arrivalMs: number;
}

/** An output as another pipeline's Kinesis sink put it, as far as a chained pipeline reads it. */
export interface ReadEnvelope {
  /** The destination key under which it was published. */
  readonly key: string;
  readonly value: unknown;
  readonly provenance: Provenance;
  /** `provenance.position`, decoded. */
  readonly position: MarkPosition;
}

/** An encoded integer of up to 129 decimal digits, with a sub-sequence number behind it or not; element; index. */
const POSITION_PATTERN = /^[-\w]{2,80}(?:\.[-\w]{2,12})?\/\d{1,9}\/\d{1,9}$/;

const TEXTS = ['lineage', 'lane', 'sink', 'destination', 'position'] as const;

/**
 * Reads a parsed record as an output's envelope.
 * @throws RecordError when it is none; its reason quotes nothing of the record.
 */
export function readEnvelope(record: unknown): ReadEnvelope {
  if (!isObject(record)) throw notAnEnvelope('it is no object');
  if (!Object.hasOwn(record, 'value')) throw notAnEnvelope("it has no 'value'");
  const { key, value, provenance } = record;
  if (!isObject(provenance)) throw notAnEnvelope("it has no 'provenance'");
  if (typeof key !== 'string') throw notAnEnvelope("it has no text 'key'");
  for (const name of TEXTS) {
    const text = provenance[name];
    if (typeof text !== 'string' || text === '') throw notAnEnvelope(`its provenance has no text '${name}'`);
  }
  const { position, arrivalMs } = provenance as unknown as Provenance;
  if (!POSITION_PATTERN.test(position)) throw notAnEnvelope("its provenance's 'position' is none");
  if (!Number.isSafeInteger(arrivalMs) || arrivalMs < 0) {
    throw notAnEnvelope("its provenance's 'arrivalMs' is no time");
  }
  return {
    key,
    value,
    provenance: provenance as unknown as Provenance,
    position: decodeMarkPosition(position),
  };
}

function notAnEnvelope(why: string): RecordError {
  return new RecordError(
    'decode',
    `the record is no output of a pipeline: ${why}. A chained pipeline reads what a Kinesis sink of another pipeline ` +
      'put; let other producers have a stream of their own',
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
