import { exactJson } from '../output/exact-json.ts';
import { outputId } from '../output/output-id.ts';
import type { Delivery } from '../output/sink-port.ts';
import type { KinesisSink } from '../pipeline/definition.ts';
import { RecordError, rejectionOf, type Rejection } from '../source/record-error.ts';
import type { SourceRecord } from '../source/record.ts';
import type { OutputEntry } from '../state/state-item.ts';
import type { Element } from './elements.ts';
import { KINESIS_OUTPUT_LIMIT_BYTES } from './limits.ts';
import type { Program } from './program.ts';

/** A relay's outputs are of no item. */
const NO_ITEM = { pk: '', revision: 0 } as const;

/**
 * What the front of a repartition puts into the internal stream for one element. It has no state, and what it puts
 * follows from the record alone: nothing is committed for it, no outbox holds it, and it costs no write units. Put again
 * after a crash it has the same provenance, by which the back half knows it again (I4); its record is acknowledged once
 * it is put (I7). Each element stands for itself: one that cannot be put is rejected alone.
 */
export function relayed(
  { definition }: Program,
  sink: KinesisSink,
  { lane, position, arrivalMs }: SourceRecord,
  destinationKey: string,
  element: Element,
): Delivery | Rejection {
  let json: string;
  try {
    json = exactJson(element.value, `repartition '${sink.name}'`);
    const bytes = Buffer.byteLength(json);
    if (bytes > KINESIS_OUTPUT_LIMIT_BYTES) {
      throw new RecordError(
        'output',
        `repartition '${sink.name}': the value has ${bytes} bytes, the stream takes ${KINESIS_OUTPUT_LIMIT_BYTES}`,
      );
    }
  } catch (error) {
    return rejectionOf(error, 'output');
  }
  const entry: OutputEntry = {
    kind: 'output',
    sink: sink.name,
    destinationKey,
    revision: NO_ITEM.revision,
    isChange: false,
    lane,
    position,
    element: element.number,
    index: 0,
    arrivalMs,
    value: { json },
  };
  return { id: outputId(definition.name, entry), destinationKey, json, ...NO_ITEM, entry };
}
