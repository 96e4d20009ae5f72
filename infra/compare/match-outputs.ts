import { hashOfKey } from '../../shared/output/output-id.ts';
import type { CommonSpan } from './common-span.ts';
import { comparePlaces, type OutputPlace } from './output-place.ts';
import type { Tally } from './tally.ts';

/** An output as it stands in a sink. */
export interface PublishedOutput {
  readonly place: OutputPlace;
  readonly key: string;
  /** As `comparableText`. */
  readonly value: string;
  /** Arrival of the record that made it, or when a timer fired without one, milliseconds since the epoch. */
  readonly arrivalMs: number;
}

/** What a timer made in one pipeline alone: whether the other's has yet to fire is to be seen in the key's item. */
export interface LoneTimerOutput {
  readonly side: 'old' | 'new';
  readonly output: PublishedOutput;
  /** The key whose timer it was; absent where the output does not tell. */
  readonly stateKey: string | undefined;
}

export interface Matching {
  readonly span: CommonSpan;
  /** Of `change`s only the newest of a batch is published: which those are follows from how batches were cut. */
  readonly outputs: 'event' | 'change';
  /** Whether all that lies in the span is published in both; not known for sure where lanes are by partition key. */
  readonly isSettled: boolean;
  /**
   * What arrived earlier, milliseconds since the epoch, may be gone from one of the streams: only what both have counts. A
   * timer fires in each when it does, and so its twin may stand on the other side of this.
   */
  readonly sinceMs?: number;
}

/**
 * Matches the outputs of a pipeline for one sink with those of its fork: by the id from the shard on. All outputs of a
 * destination key are among those given, also those beyond the span, for these may supersede some within.
 *
 * The id of what a timer made holds the operator's place: where operators were moved, those left over of one key and due
 * time are matched in their order.
 * @returns what timers made in one alone.
 */
export function matchOutputs(
  old: readonly PublishedOutput[],
  now: readonly PublishedOutput[],
  { span, outputs, isSettled, sinceMs = -Infinity }: Matching,
  tally: Tally,
): LoneTimerOutput[] {
  const [oldByTail, newByTail] = [byTail(old), byTail(now)];
  const sides = [
    { side: 'old', own: oldByTail, others: newByTail },
    { side: 'new', own: newByTail, others: oldByTail },
  ] as const;
  const lone: LoneTimerOutput[] = [];
  for (const { side, own, others } of sides) {
    const newest = outputs === 'change' ? newestByKey(others.values()) : undefined;
    for (const [tail, output] of own) {
      const { place, key, value } = output;
      const made = others.get(tail);
      // Under another key it went elsewhere: to another consumer's order, or another row.
      const twin = made?.key === key ? made : undefined;
      if (place.timer === undefined && span.sideOf(place.lane, place.position) !== 'common') continue;
      if (twin !== undefined) {
        if (side === 'old') tally.compare(key, value, twin.value, tail);
      } else if (place.timer !== undefined) {
        lone.push({ side, output, stateKey: stateKeyOf(output) });
      } else if (output.arrivalMs < sinceMs) {
        continue;
      } else if (newest !== undefined && isSuperseded(output, newest.get(key))) {
        tally.superseded += 1;
      } else if (!isSettled) {
        tally.open += 1;
      } else {
        tally.compare(key, side === 'old' ? value : undefined, side === 'old' ? undefined : value, tail);
      }
    }
  }
  return pairTimers(lone, tally).filter(({ output }) => output.arrivalMs >= sinceMs);
}

/** Of an output that was published again, the last one. */
function byTail(outputs: readonly PublishedOutput[]): Map<string, PublishedOutput> {
  return new Map(outputs.map((output) => [output.place.tail, output]));
}

/** By lane the newest. */
type Newest = ReadonlyMap<string, PublishedOutput>;

function newestByKey(outputs: Iterable<PublishedOutput>): Map<string, Newest> {
  const newest = new Map<string, Map<string, PublishedOutput>>();
  for (const output of outputs) {
    const { key, place } = output;
    const lanes = newest.get(key) ?? new Map<string, PublishedOutput>();
    newest.set(key, lanes);
    const before = lanes.get(place.lane);
    if (before === undefined || comparePlaces(place, before.place) > 0) lanes.set(place.lane, output);
  }
  return newest;
}

function isSuperseded({ place, arrivalMs }: PublishedOutput, newest: Newest | undefined): boolean {
  for (const other of newest?.values() ?? []) {
    const isLater =
      other.place.lane === place.lane ? comparePlaces(other.place, place) > 0 : other.arrivalMs >= arrivalMs;
    if (isLater) return true;
  }
  return false;
}

/** By the hash in the id: a timer's key is mostly the output's, or stands in the result of a window. */
function stateKeyOf({ place, key, value }: PublishedOutput): string | undefined {
  const read = JSON.parse(value) as { readonly key?: unknown } | null;
  const candidates = [key, typeof read === 'object' ? read?.key : undefined];
  return candidates.find(
    (candidate): candidate is string =>
      typeof candidate === 'string' && hashOfKey(candidate) === place.timer?.keyHash,
  );
}

function pairTimers(lone: readonly LoneTimerOutput[], tally: Tally): LoneTimerOutput[] {
  const groups = new Map<string, { old: LoneTimerOutput[]; new: LoneTimerOutput[] }>();
  for (const each of lone) {
    const { place, key } = each.output;
    const name = `${place.lane} ${place.position.sequence} ${key}`;
    const group = groups.get(name) ?? { old: [], new: [] };
    groups.set(name, group);
    group[each.side].push(each);
  }
  return [...groups.values()].flatMap((group) => {
    const [old, now] = [group.old, group.new].map((each) =>
      each.toSorted((a, b) => comparePlaces(a.output.place, b.output.place)),
    ) as [LoneTimerOutput[], LoneTimerOutput[]];
    const pairs = Math.min(old.length, now.length);
    for (let place = 0; place < pairs; place++) {
      const [a, b] = [old[place] as LoneTimerOutput, now[place] as LoneTimerOutput];
      tally.compare(a.output.key, a.output.value, b.output.value, a.output.place.tail);
    }
    return [...old.slice(pairs), ...now.slice(pairs)];
  });
}
