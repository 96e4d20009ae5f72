import { encodePosition } from '../source/position.ts';
import { hashOfKey } from './output-id.ts';
import type { Delivery } from './sink-port.ts';

/**
 * What a Kinesis sink writes: the value, and where it comes from. The next pipeline tells by the provenance what it
 * has seen; any other consumer may do so by the id.
 */
export interface OutputEnvelope {
  readonly id: string;
  readonly key: string;
  readonly value: unknown;
  readonly provenance: {
    /** The pipeline's line of descent: its name. */
    readonly lineage: string;
    readonly lane: string;
    /** Hash of the state item's key, and the item's revision: of one source's changes the highest revision is newest. */
    readonly source: string;
    readonly revision: number;
    /** Hash of the destination key: order holds only per destination key. */
    readonly destination: string;
    /** Encoded position, element, index. */
    readonly position: string;
    /** Arrival of the record that made the output, milliseconds since the epoch. */
    readonly arrivalMs: number;
  };
}

/** The envelope as JSON text. The value is JSON text already and is not parsed for it. */
export function envelopeJson(lineage: string, { id, destinationKey, json, pk, entry }: Delivery): string {
  const provenance: OutputEnvelope['provenance'] = {
    lineage,
    lane: entry.lane,
    source: hashOfKey(pk),
    revision: entry.revision,
    destination: hashOfKey(destinationKey),
    position: `${encodePosition(entry.position)}/${entry.element}/${entry.index}`,
    arrivalMs: entry.arrivalMs,
  };
  return (
    `{"id":${JSON.stringify(id)},"key":${JSON.stringify(destinationKey)},"value":${json},` +
    `"provenance":${JSON.stringify(provenance)}}`
  );
}
