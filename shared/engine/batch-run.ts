import { comparePositions, type Position } from '../source/position.ts';
import type { Delivery } from '../output/sink-port.ts';
import type { Rejection } from '../source/record-error.ts';
import type { RecordBatch, SourceRecord } from '../source/record.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import { itemKey, shardItemKey } from '../state/row-key.ts';
import { forEachElement, type Element } from './elements.ts';
import type { FoldScope, KeyWork } from './fold.ts';
import { ProvenancePlaces, type MarkPlace } from './mark-place.ts';
import type { Opened } from './open.ts';
import type { RejectedRecords } from './rejected-records.ts';
import type { BatchReport, Runtime } from './runtime.ts';
import { relayed } from './relay.ts';
import { turnOf } from './turn.ts';

/** One item's work while a batch runs. */
export interface ItemWork extends KeyWork {
  /** Elements in order; grown while the batch is grouped. */
  readonly elements: Element[];
  /** The item as last read or confirmed; undefined where there is none, or before it is loaded. */
  item: StateItem | undefined;
  isLoaded: boolean;
  /** Whether user code has not seen its values yet. */
  isFirst: boolean;
  /** The first element that is not folded and committed. */
  next: number;
  /** Nothing more is tried for it in this invocation. */
  isHeld: boolean;
}

/** What one run over records of a batch knows; it ends with the invocation. */
export interface BatchRun {
  readonly runtime: Runtime;
  readonly opened: Opened;
  readonly batch: RecordBatch;
  /** Those of the batch that this run is about: all, or one where records are taken one at a time. */
  readonly records: readonly SourceRecord[];
  readonly scope: FoldScope & {
    front: number;
    readonly published: Set<OutboxEntry>;
    readonly acknowledged: Map<string, Position>;
    named?: RejectedRecords | undefined;
    readonly elsewhere: Map<number, Set<number>>;
  };
  readonly works: ItemWork[];
  /** In the front of a repartition: what is put into the internal stream, for the works are of rejected elements alone. */
  readonly relayed: Delivery[];
  /** The first record that was not decoded, because decoding took its share of the time; it comes again. */
  readonly notDecoded: Position | undefined;
  /** By sink: destination keys of which a delivery failed. */
  readonly blocked: Map<string, Set<string>>;
  /** Whether there is time to start more work. */
  readonly keepGoing: () => boolean;
  readonly report: BatchReport;
  /** Whether batches of many lanes are known to be told that there are letters without a key. */
  hasNotice: boolean;
  /** By record: what became of it so far. */
  readonly fates: Uint8Array;
}

function newWork(pk: string, key: string | undefined): ItemWork {
  return { pk, key, elements: [], item: undefined, isLoaded: false, isFirst: true, next: 0, isHeld: false };
}

/** That of a shard's own item, read already, in which nothing is to be rejected. */
export function shardWork(item: StateItem): ItemWork {
  return { ...newWork(item.pk, undefined), item, isLoaded: true };
}

/** Bits of a record's fate. */
export const FATE = { hasElements: 1, applied: 2, skipped: 4 } as const;

/** Records between two looks at the clock while decoding. */
const RECORDS_BETWEEN_LOOKS = 16;

/**
 * Steps 2 and 3: decodes the records and groups their elements by key, in order.
 * @param keepDecoding asked between records. The first ones are decoded in any case, so that every invocation gets on:
 * with lanes by partition key the whole first aggregate, which else would come again and be cut at the same place.
 * @returns the works, how many of the records are in them, and by what the records' marks are kept.
 */
export function group(
  runtime: Runtime,
  opened: Opened,
  records: readonly SourceRecord[],
  keepDecoding: () => boolean,
): Pick<BatchRun, 'relayed'> & {
  readonly works: ItemWork[];
  readonly decoded: number;
  readonly places: readonly MarkPlace[];
} {
  const { generation, killers, isByPartition, clock } = opened;
  const { relay } = runtime.program;
  const deliveries: Delivery[] = [];
  const isChained = runtime.program.definition.source.chained !== undefined;
  // A record that no envelope is known of is known by where it stands, as all are that are not chained.
  const places: MarkPlace[] = isChained ? [...records] : [];
  const provenance = new ProvenancePlaces();
  const works = new Map<string, ItemWork>();
  const shardItems = new Map<string, ItemWork>();
  const add = (
    into: Map<string, ItemWork>,
    name: string,
    key: string | undefined,
    element: Element,
  ): void => {
    let work = into.get(name);
    if (work === undefined) {
      const pk = key === undefined ? shardItemKey(generation, name) : itemKey(generation, key);
      work = newWork(pk, key);
      into.set(name, work);
    }
    work.elements.push(element);
  };
  let index = 0;
  for (; index < records.length; index++) {
    const record = records[index] as SourceRecord;
    if (index > 0 && index % RECORDS_BETWEEN_LOOKS === 0) {
      const isInFirst = isByPartition && record.position.sequence === records[0]?.position.sequence;
      if (!isInFirst && !keepDecoding()) break;
    }
    if (killers.size > 0 && killers.has(turnOf(record.position, 'decode'))) {
      add(shardItems, record.lane, undefined, killedElement(index));
      clock?.passed(record, undefined);
      continue;
    }
    let place: MarkPlace = record;
    const eventMs = forEachElement(
      runtime.program,
      record,
      index,
      (key, element) => {
        if (key === undefined) add(shardItems, place.lane, undefined, element);
        else if (relay === undefined) add(works, key, key, element);
        else {
          const output = relayed(runtime.program, relay, record, key, element);
          if ('entry' in output) deliveries.push(output);
          else add(shardItems, place.lane, undefined, { ...element, rejection: output });
        }
      },
      isChained ? (envelope) => (places[index] = place = provenance.of(envelope)) : undefined,
    );
    clock?.passed(record, eventMs);
  }
  return {
    works: [...works.values(), ...shardItems.values()],
    relayed: deliveries,
    decoded: index,
    places: isChained ? places : records,
  };
}

/** Why a record is rejected that nobody could run. */
export const KILLED: Rejection = {
  stage: 'killed',
  reason:
    'the process died each time it was the turn of this record alone (memory, an endless loop, an exit)',
};

function killedElement(record: number): Element {
  return { record, number: 0, value: undefined, eventMs: undefined, rejection: KILLED, isShared: false };
}

/** The first position that is not folded and committed: nothing at or above it is published or acknowledged. */
export function firstUncommitted({ works, records, notDecoded }: BatchRun): Position | undefined {
  let first = notDecoded;
  for (const { elements, next } of works) {
    const element = elements[next];
    if (element !== undefined) first = lower(first, (records[element.record] as SourceRecord).position);
  }
  return first;
}

/** The place of the first record that is not folded and committed. */
export function firstOpenRecord({ works, records }: BatchRun): number {
  let first = records.length;
  for (const { elements, next } of works) first = Math.min(first, elements[next]?.record ?? first);
  return first;
}

export function lower(a: Position | undefined, b: Position | undefined): Position | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return comparePositions(a, b) <= 0 ? a : b;
}

/** The record at this position, where it is one of this run's. */
export function recordAt(records: readonly SourceRecord[], position: Position): SourceRecord | undefined {
  let low = 0;
  let high = records.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const record = records[middle] as SourceRecord;
    const order = comparePositions(record.position, position);
    if (order === 0) return record;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
