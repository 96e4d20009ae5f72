import type { DeadLetter, RedrivePlace } from '../output/dead-letter-store.ts';
import type { Delivery } from '../output/sink-port.ts';
import type { KinesisSink } from '../pipeline/definition.ts';
import { isAggregate } from '../source/aggregate.ts';
import { comparePositions, encodePosition, type Position } from '../source/position.ts';
import type { Rejection } from '../source/record-error.ts';
import type { SourceRecord } from '../source/record.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import { type Element, forEachElement } from './elements.ts';
import type { Program } from './program.ts';
import { isOfOneElement } from './rejected-records.ts';
import { relayed } from './relay.ts';

export const BROKEN_AGGREGATE: Rejection = {
  stage: 'decode',
  reason:
    'it is an aggregate of the Kinesis Producer Library that is not whole; let the producer send its records again, ' +
    'and drop it',
};

/** What the record becomes by today's code. */
export function elementsOf(
  program: Program,
  record: SourceRecord,
): {
  readonly elements: ReadonlyMap<string, readonly Element[]>;
  readonly rejections: readonly (Rejection & { readonly number: number })[];
} {
  const elements = new Map<string, Element[]>();
  const rejections: (Rejection & { readonly number: number })[] = [];
  if (isAggregate(record)) return { elements, rejections: [{ ...BROKEN_AGGREGATE, number: 0 }] };
  forEachElement(program, record, 0, (key, element) => {
    const { number, rejection } = element;
    if (rejection !== undefined) rejections.push({ ...rejection, number });
    if (key === undefined) return;
    const own = elements.get(key);
    if (own === undefined) elements.set(key, [element]);
    else own.push(element);
  });
  return { elements, rejections };
}

/** Which elements of its record the letter is for; of a key's letter, of those that the key has. */
export function isMeantBy({
  key,
  stage,
  element,
  except = [],
}: DeadLetter): (element: { readonly number: number }) => boolean {
  if (key === undefined && isOfOneElement(stage)) return ({ number }) => number === element;
  return ({ number }) => !except.includes(number);
}

/** Why today's code rejects what a letter is for, where it does: an element that is meant, or the whole record. */
export function rejectionOfMeant<R extends Rejection & { readonly number: number }>(
  rejections: readonly R[],
  isMeant: (element: { readonly number: number }) => boolean,
): R | undefined {
  return rejections.find((each) => isMeant(each) || !isOfOneElement(each.stage));
}

/** What a relay makes of those elements of the record that are meant; or why it cannot. */
export function deliveriesOf(
  program: Program,
  relay: KinesisSink,
  record: SourceRecord,
  isMeant: (element: { readonly number: number }) => boolean,
): readonly Delivery[] | Rejection {
  const deliveries: Delivery[] = [];
  const { elements, rejections } = elementsOf(program, record);
  let rejection: Rejection | undefined = rejectionOfMeant(rejections, isMeant);
  for (const [key, all] of elements) {
    for (const element of all.filter(isMeant)) {
      if (element.rejection !== undefined) continue;
      const output = relayed(program, relay, record, key, element);
      if ('entry' in output) deliveries.push(output);
      else rejection ??= output;
    }
  }
  return rejection ?? deliveries;
}

/** The item with changes in what a redrive does beside the fold. */
export function rewritten(
  { expiresAtSeconds: _, ...item }: StateItem,
  changes: Pick<StateItem, 'outbox'> & Partial<Pick<StateItem, 'marks' | 'letters'>>,
): StateItem {
  return { ...item, ...changes, revision: item.revision + 1 };
}

export function placeOf({
  lane,
  position,
}: {
  readonly lane: string;
  readonly position: Position;
}): RedrivePlace {
  return { lane, place: Number(position.sequence) };
}

export function positionOf({ sequenceNumber, subSequenceNumber }: DeadLetter): Position {
  return { sequence: sequenceNumber, sub: subSequenceNumber };
}

export function isLetter(entry: OutboxEntry, number: number): boolean {
  return entry.kind === 'deadLetter' && entry.number === number;
}

export function isOfRecord({ origin }: OutboxEntry, letter: DeadLetter): boolean {
  return origin?.lane === letter.lane && comparePositions(origin.position, positionOf(letter)) === 0;
}

/** Tells apart the entries of one item. */
export function entryId(entry: OutboxEntry): string {
  const { lane, position, element } = entry;
  const own = entry.kind === 'output' ? `${entry.sink} ${entry.index}` : String(entry.number);
  return `${entry.kind} ${lane} ${encodePosition(position)} ${element} ${own}`;
}
