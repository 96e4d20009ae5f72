import { encodeMarkPosition } from '../source/position.ts';
import type { Provenance } from '../source/provenance.ts';
import { sourceOf } from '../state/row-key.ts';
import { hashOfKey, standingOf } from './output-id.ts';
import type { Delivery } from './sink-port.ts';

/**
 * What a Kinesis sink writes: the value, and where it comes from. The next pipeline tells by the provenance what it
 * has seen; any other consumer may do so by the id.
 */
export interface OutputEnvelope {
  readonly id: string;
  readonly key: string;
  readonly value: unknown;
  readonly provenance: Provenance & {
    /** Hash of the state item's key, and the item's revision: of one source's changes the highest revision is newest. */
    readonly source: string;
    readonly revision: number;
  };
}

/** The envelope as JSON text. The value is JSON text already and is not parsed for it. */
export function envelopeJson(pipeline: string, delivery: Delivery): string {
  const { id, destinationKey, json, pk, entry, revision, epoch } = delivery;
  const { lane, position, element } = standingOf(entry);
  const provenance: OutputEnvelope['provenance'] = {
    lineage: epoch === undefined ? pipeline : `${pipeline}~${epoch}`,
    lane,
    sink: entry.sink,
    source: hashOfKey(sourceOf(pk)),
    revision,
    destination: hashOfKey(destinationKey),
    position: encodeMarkPosition({ ...position, element, index: entry.index }),
    arrivalMs: entry.originArrivalMs ?? entry.arrivalMs,
  };
  return (
    `{"id":${JSON.stringify(id)},"key":${JSON.stringify(destinationKey)},"value":${json},` +
    `"provenance":${JSON.stringify(provenance)}}`
  );
}
