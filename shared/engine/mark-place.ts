import { createHash } from 'node:crypto';
import type { MarkPosition } from '../source/position.ts';
import type { Provenance, ReadEnvelope } from '../source/provenance.ts';

/**
 * By what a record's mark is kept. A record of a plain stream is its own place: where it stands is what it is known by.
 * In a chained pipeline it is an output, which may stand in the stream several times, in several shards: it is known by
 * where the record stood that made it. Everything else (progress, acknowledgement, the order and the ids of a chained
 * pipeline's own outputs) goes by where the record itself stands.
 */
export interface MarkPlace {
  readonly lane: string;
  readonly position: MarkPosition;
  /** Arrival at the head of the chain, milliseconds since the epoch. */
  readonly arrivalMs: number;
}

/** 96 bits: whoever chooses destination keys must not find two that share a mark. */
const LANE_HASH_CHARACTERS = 16;

/** Makes the places of outputs; those of one batch have few lanes, and each is hashed once. */
export class ProvenancePlaces {
  readonly #lanes = new Map<string, string>();

  of({ provenance, position }: ReadEnvelope): MarkPlace {
    return { lane: this.#laneOf(provenance), position, arrivalMs: provenance.arrivalMs };
  }

  /**
   * One short name for lineage, lane, sink and destination, for it is paid for in every mark. Without a slash: no
   * stream's lane is such.
   */
  #laneOf({ lineage, lane, sink, destination }: Provenance): string {
    const whole = JSON.stringify([lineage, lane, sink, destination]);
    let short = this.#lanes.get(whole);
    if (short === undefined) {
      short = createHash('sha256').update(whole).digest('base64url').slice(0, LANE_HASH_CHARACTERS);
      this.#lanes.set(whole, short);
    }
    return short;
  }
}
