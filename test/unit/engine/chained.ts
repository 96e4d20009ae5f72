import { envelopeJson } from '../../../shared/output/envelope.ts';
import type { SourceRecord } from '../../../shared/source/record.ts';
import { sourceRecord, START_MS, type TestRecord } from '../../support/memory-ports.ts';
import { delivery } from '../output/deliveries.ts';

/** An output of another pipeline: what may be said of where it comes from, and its value. */
export interface Upstream {
  /** Number of the upstream record that made it, in its lane. */
  readonly of: number;
  readonly value: unknown;
  readonly destination?: string;
  readonly lane?: string;
  readonly sink?: string;
  readonly element?: number;
  readonly index?: number;
  readonly lineage?: string;
  readonly arrivalMs?: number;
}

/** The output's envelope as it stands in the stream between. */
export function envelopeOf({
  of,
  value,
  destination = 'd',
  lane = 'first/0',
  sink = 'out',
  element = 0,
  index = 0,
  lineage = 'first',
  arrivalMs = START_MS,
}: Upstream): string {
  const sequence = String(10n ** 55n + BigInt(of));
  return envelopeJson(
    lineage,
    delivery(
      { destinationKey: destination, json: JSON.stringify(value) },
      { lane, sink, element, index, arrivalMs, position: { sequence, sub: 0 } },
    ),
  );
}

/** The record with this number in a shard of the stream between, with an output in it. */
export function put(
  shard: number,
  number: number,
  upstream: Upstream,
  changes: Partial<TestRecord> = {},
): SourceRecord {
  return sourceRecord(shard, number, {
    value: envelopeOf(upstream),
    partitionKey: upstream.destination ?? 'd',
    ...changes,
  });
}
