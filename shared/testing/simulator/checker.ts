import { isDeepStrictEqual } from 'node:util';
import { ProvenancePlaces } from '../../engine/mark-place.ts';
import type { LettersRequest } from '../../engine/letter-results.ts';
import { ARRIVAL_MARK, isLetterMark, letterMark } from '../../engine/redrive-lane.ts';
import type { DeadLetter } from '../../output/dead-letter-store.ts';
import { deadLetterName } from '../../output/dead-letter-name.ts';
import { outputId, standingOf } from '../../output/output-id.ts';
import type { Delivery } from '../../output/sink-port.ts';
import type { PipelineDefinition } from '../../pipeline/definition.ts';
import { partitionLane, shardOfLane } from '../../source/lane.ts';
import {
  compareMarkPositions,
  comparePositions,
  encodeMarkPosition,
  type MarkPosition,
  type Position,
} from '../../source/position.ts';
import type { SourceRecord } from '../../source/record.ts';
import type { Document } from '../../state/document.ts';
import { NO_LETTERS } from '../../state/letters.ts';
import { carriedRevision } from '../../state/revision.ts';
import {
  generationOf,
  isNotice,
  itemKey,
  keyOfItem,
  shardItemKey,
  shardOfItem,
  sourceOf,
} from '../../state/row-key.ts';
import type { DeadLetterEntry, OutboxEntry, OutputEntry, StateItem } from '../../state/state-item.ts';
import type { Advance, Progress } from '../../state/state-store.ts';
import type { SourceLane } from '../../time/source-lanes.ts';
import { Oracle, type OracleElement, type OracleOutput, type OracleStep } from './oracle.ts';
import type { RestoredFrom } from './simulated-process.ts';
import { TimeChecker, type TimeCheckerOptions } from './time-checker.ts';
import type { TimedRun } from './timed-oracle.ts';
import type { WindowRule } from './window-checker.ts';

/** A record of the source stream, and what is known of it from the records alone. */
export interface KnownRecord {
  readonly record: SourceRecord;
  /** Its place among all records that were put, over all shards. */
  readonly number: number;
  elements: readonly OracleElement[];
  /** Whether it is rejected as a whole, before it has elements. */
  isWhole: boolean;
  /** State items that it concerns: of keys, and of the shard where an element has no key. */
  homes: readonly string[];
  /**
   * By what it is known: another record of the same identity is a repeat of it. An output of another pipeline is known by
   * its id, not by the provenance that the engine goes by.
   */
  readonly identity: string;
  /** Lanes by which its mark may be kept. */
  readonly lanes: readonly string[];
  readonly markPosition: MarkPosition;
  /** What it has made so far, in all items. */
  readonly outputs: CommittedOutput[];
  /** Names of the dead letters that its rejections have made. */
  readonly letters: string[];
  isAcknowledged: boolean;
}

/** An output that is committed, as the oracle says it. */
interface CommittedOutput extends OracleOutput {
  readonly id: string;
  readonly pk: string;
  /** Of the item, when it was committed; a relay has none. */
  readonly revision: number | undefined;
  isDelivered: boolean;
  /** Whether this is a fork, and the other pipeline has published it. */
  readonly isOfOther?: boolean;
}

/** A dead letter that a committed item tells of. */
interface LetterTruth {
  readonly name: string;
  readonly pk: string;
  readonly number: number;
  readonly record: KnownRecord;
  /** The one element that it is of; undefined where it is of all that the record has for the key, or of the record. */
  readonly element: number | undefined;
  /** Of a record without keys: the keys that a redrive has applied it to. */
  readonly appliedTo: Set<string>;
  /** What redrives have made of it. */
  readonly outputs: CommittedOutput[];
  readonly letters: string[];
  isStored: boolean;
  isClosed: boolean;
  isDropped: boolean;
}

interface ItemTruth {
  /** Whether it is a shard's own item, of which there is one for each lane. */
  readonly home: string;
  /** As last committed. */
  item: StateItem | undefined;
  /** Every record that is in it, by number, in the order in which it came in. */
  readonly applied: KnownRecord[];
  readonly covered: Set<string>;
  /** By record: its elements that have letters without a key. */
  readonly lettered: Map<string, Set<number>>;
  /** All dead letters that it has had, by number. */
  readonly letters: LetterTruth[];
  /** The first of those behind which the key is parked. */
  parkedFrom: number | undefined;
  /** By sink and destination key: the newest change. */
  readonly newest: Map<string, CommittedOutput[]>;
  /** What each write has brought in, with its revision. */
  readonly log: Written[];
}

interface Written {
  readonly revision: number;
  /** Numbers of records; of one without a key, the elements of which it has letters. */
  readonly records: readonly { readonly number: number; readonly elements: readonly number[] | undefined }[];
  /** Marks of letters without keys that were applied. */
  readonly shares: readonly string[];
  /** Numbers of letters of the item. */
  readonly closed: readonly number[];
  /** In a pipeline with a time, of a key. */
  readonly run?: TimedRun | undefined;
}

/** What one write commits. */
interface Made {
  readonly revision: number;
  readonly events: CommittedOutput[];
  readonly letters: string[];
}

export interface CheckerOptions {
  /** The generation whose rows it watches: 1 unless given. */
  readonly generation?: number;
  readonly definition: PipelineDefinition;
  /** Whether it is the front of a repartition, which puts what its records become and keeps none of it. */
  readonly isRelay: boolean;
  /** Whether Lambda hands in parents before children, so that a partition key's records come in order. */
  readonly isOrdered: boolean;
  readonly parallelizationFactor: number;
  /** Whether what a record brings can still be delivered, by it or by a repeat of it. */
  readonly isWithinRetention: (record: SourceRecord) => boolean;
  /** What is wrong with a key's states by what the operators promise: the oracle runs the same operators. */
  readonly wrongIn?: ((states: ReadonlyMap<string, Document>) => string | undefined) | undefined;
  /** Of all shards that the stream ever had: of a pipeline with a time. */
  readonly lanes?: () => readonly SourceLane[];
  readonly windows?: WindowRule | undefined;
  /** Of a fork: whether it processes records by itself until then. */
  readonly isLive?: boolean | undefined;
  readonly latestClockMs?: TimeCheckerOptions['latestClockMs'];
}

/**
 * Watches everything that one pipeline does to the world outside, at the moment when it takes effect, and says which
 * invariant of DESIGN.md section 5 it breaks. It compares with what the records should give, never with what the
 * engine says that it did.
 */
export class Checker {
  readonly violations: string[];
  readonly oracle: Oracle;
  readonly #options: CheckerOptions;
  readonly #name: string;
  readonly #places = new ProvenancePlaces();
  readonly #records: KnownRecord[] = [];
  /** By shard and sequence number: an aggregate holds several. */
  readonly #bySequence = new Map<string, KnownRecord[]>();
  readonly #byHome = new Map<string, KnownRecord[]>();
  readonly #items = new Map<string, ItemTruth>();
  readonly #outputs = new Map<string, CommittedOutput>();
  /** Letters that committed items tell of, by name. */
  readonly #letters = new Map<string, LetterTruth>();
  readonly #progress = new Map<string, Position>();
  readonly deliveries: Map<string, Delivery[]>;
  readonly #generation: number;
  /** Of all generations. */
  readonly #family: Map<number, Checker>;
  readonly #puts: { readonly record: SourceRecord; readonly shard: string }[] = [];
  /** Shards that a rewind let begin. */
  readonly #begun = new Set<string>();
  #acknowledged = 0;
  /** Of a pipeline with a time. */
  readonly time: TimeChecker | undefined;

  constructor(options: CheckerOptions, before?: Checker) {
    this.#generation = options.generation ?? 1;
    this.#family = before === undefined ? new Map<number, Checker>() : before.#family;
    this.#family.set(this.#generation, this);
    this.violations = before?.violations ?? [];
    this.deliveries = before?.deliveries ?? new Map<string, Delivery[]>();
    this.#options = options;
    this.#name = options.definition.name;
    this.oracle = new Oracle(options.definition);
    this.time = this.#timeChecker(before?.time);
    if (before === undefined) return;
    for (const [place, { record, shard }] of before.#puts.entries())
      this.#put(record, shard, before.#records[place]);
    for (const known of before.#records) {
      const own = this.#records[known.number];
      if (!known.isAcknowledged || own === undefined) continue;
      own.isAcknowledged = true;
      this.#acknowledged += 1;
    }
  }

  /** That of another generation. It begins with what the records alone say, and what was acknowledged. */
  at(generation: number): Checker {
    return (
      this.#family.get(generation) ??
      new Checker({ ...this.#options, generation }, this.#family.get(1) ?? this)
    );
  }

  /** An item of a checkpoint has been written into this generation. */
  restored(item: StateItem, { generation: source, checker }: RestoredFrom): void {
    const from = (checker ?? this).at(source);
    const pk = `${source}${item.pk.slice(item.pk.indexOf('/'))}`;
    const old = from.#items.get(pk);
    const log = old === undefined ? [] : old.log;
    for (const { shares } of log) for (const mark of shares) this.#foretell(mark, from);
    const revision = carriedRevision(item.revision, this.#generation, source);
    const runs: TimedRun[] = [];
    const truth = this.#truth(item.pk);
    if (truth.item !== undefined) this.#say('I8', `${item.pk} is restored over what is there`);
    truth.item = item;
    for (const entry of log) {
      if (entry.revision > revision) break;
      const carried = carriedRevision(entry.revision, source, this.#generation);
      const made: Made = { revision: carried, events: [], letters: [] };
      const records = entry.records.map(({ number }) => this.#records[number] as KnownRecord);
      for (const [place, { elements }] of entry.records.entries())
        if (entry.run === undefined)
          this.#apply(truth, records[place] as KnownRecord, item.pk, made, elements);
      if (entry.run !== undefined) {
        const theirs = entry.records.map(({ number }) => from.#records[number]?.record);
        const run = ofRecords(entry.run, theirs, records);
        runs.push(run);
        this.#applyTimed(truth, records, run, item, made);
      }
      for (const mark of entry.shares) this.#applyShare(truth, mark, item.pk, made);
      for (const number of entry.closed) {
        const letter = truth.letters[number];
        const { isStored, isDropped } = old?.letters[number] ?? {};
        if (letter !== undefined) Object.assign(letter, { isClosed: true, isStored, isDropped });
      }
      truth.log.push({ ...entry, revision: carried });
    }
    const pending = new Set(item.outbox.map((entry) => entryName(this.#name, item.pk, entry)));
    for (const [id, output] of this.#outputs) {
      if (output.pk !== item.pk) continue;
      if (checker === undefined) output.isDelivered ||= from.#outputs.get(id)?.isDelivered === true;
      else if (!pending.has(id)) this.#leaveToOther(output);
    }
    if (this.time !== undefined && keyOfItem(item.pk) !== undefined) {
      this.time.restored(item, runs);
      this.time.carried(item, (entry) => outputId(this.#name, entry));
    }
    this.#checkStates(item);
    this.#checkLetters(item, truth);
  }

  /** Of a fork: what records of a shard carry up to a position is published by the other pipeline. */
  #leaveBelow(shard: string, position: Position): void {
    for (const [pk, { item }] of this.#items)
      for (const entry of item?.outbox ?? []) {
        const isBelow = entry.lane === shard && comparePositions(entry.position, position) <= 0;
        const output = this.#outputs.get(entryName(this.#name, pk, entry));
        if (isBelow && output !== undefined) this.#leaveToOther(output);
      }
  }

  /**
   * Of a fork, what the other pipeline has published before the checkpoint. This one publishes what is pending itself, and
   * where it was live and is replaced, it must have published the rest.
   */
  #leaveToOther(output: CommittedOutput): void {
    const { isLive } = this.#options;
    if (isLive !== true || output.isChange || !this.#isOrderFixed)
      Object.assign(output, { isDelivered: true, isOfOther: true });
    else output.isDelivered = this.at(1).#outputs.get(output.id)?.isDelivered === true;
  }

  /** Whether it watches another generation of the same pipeline. */
  #isOfFamily(other: Checker): boolean {
    return other.#family === this.#family;
  }

  /** Whether each key's records come in one order however shards are read: those of one partition key, parents first. */
  get #isOrderFixed(): boolean {
    if (!this.#options.isOrdered) return false;
    return [...this.#byHome.values()].every(
      (records) => new Set(records.map(({ record }) => record.deliveryKey ?? record.partitionKey)).size === 1,
    );
  }

  /**
   * Whether a replay may make other events for the moments at which timers fire and idle shards are lifted: no record
   * tells of those. What a window holds when it closes does not depend on them.
   */
  get #dependsOnMoments(): boolean {
    if (this.time === undefined) return false;
    const { earlyMs, allowedLatenessMs } = this.#options.windows ?? { earlyMs: 0 };
    if (earlyMs !== undefined || allowedLatenessMs !== undefined) return true;
    return [...this.#family.values()].some(({ time, isParked }) => {
      // A key that is parked fires nothing, and a replay may come to park it earlier.
      return (time?.excused ?? 0) > 0 || isParked;
    });
  }

  #timeChecker(before: TimeChecker | undefined): TimeChecker | undefined {
    const { definition, isRelay, lanes = () => [], windows } = this.#options;
    const { time } = definition;
    if (time === undefined || isRelay) return undefined;
    return new TimeChecker({
      definition: { ...definition, time },
      oracle: this.oracle,
      lanes,
      windows,
      isDone: (id) => {
        const output = this.#outputs.get(id);
        return output !== undefined && (output.isDelivered || (output.isChange && !this.#isNewest(output)));
      },
      say: (invariant, what) => this.#say(invariant, what),
      before,
      latestClockMs: this.#options.latestClockMs,
    });
  }

  /** A rewind has made the shard's progress row. @param from the checker of the checkpoint's generation. */
  begun(shard: string, row: Progress, from: Checker): void {
    if (this.#begun.has(shard)) return;
    this.#begun.add(shard);
    const done = row.isByPartition ? row.byShardUntil : row.position;
    if (done !== undefined && !this.#isOfFamily(from)) this.#leaveBelow(shard, done);
    if (from.time !== undefined) this.time?.begun(shard, row, from.time);
  }

  /** Whether a key waits for a letter. */
  get isParked(): boolean {
    return [...this.#items.values()].some(({ parkedFrom }) => parkedFrom !== undefined);
  }

  get areAllAcknowledged(): boolean {
    return this.#acknowledged === this.#records.length;
  }

  /** A record stands in the source stream, as the engine's own reader reads it. */
  recordPut(record: SourceRecord, shard: string): void {
    for (const checker of this.#family.values()) checker.#put(record, shard);
  }

  /** @param before what it was in another generation, perhaps for other code. */
  #put(record: SourceRecord, shard: string, before?: KnownRecord): void {
    this.#puts.push({ record, shard });
    const { highestMs, envelope } = this.oracle.read(record);
    this.time?.put(record, shard, highestMs);
    const place = envelope === undefined ? undefined : this.#places.of(envelope);
    const lanes =
      place === undefined
        ? [shard, partitionLane(shard, record.deliveryKey ?? record.partitionKey)]
        : [place.lane];
    const markPosition = place?.position ?? record.position;
    const known: KnownRecord = {
      record,
      number: this.#records.length,
      elements: [],
      isWhole: false,
      homes: [],
      identity: envelope?.id ?? `${lanes[0]} ${encodeMarkPosition(markPosition)}`,
      lanes,
      markPosition,
      outputs: [],
      letters: [],
      isAcknowledged: false,
    };
    this.#records.push(known);
    const sequence = `${shard} ${record.position.sequence}`;
    this.#bySequence.set(sequence, [...(this.#bySequence.get(sequence) ?? []), known]);
    this.#read(known, place?.lane ?? shard, before);
  }

  /** What the record is for the code as it is now, or what it was. @param lane of the item that its letters are in. */
  #read(known: KnownRecord, lane: string, before?: KnownRecord): void {
    const { record } = known;
    const { elements: today, isWhole } = this.oracle.read(record);
    const read = before?.elements ?? today;
    const passed = this.#options.isRelay ? this.#passOn(record, read) : undefined;
    known.elements = passed?.elements ?? read;
    known.isWhole = before?.isWhole ?? isWhole;
    const homes = known.elements.flatMap(({ key }) => {
      if (key === undefined) return [shardItemKey(this.#generation, lane)];
      return passed === undefined ? [itemKey(this.#generation, key)] : [];
    });
    known.homes = [...new Set(homes)];
    for (const home of known.homes) {
      const list = this.#byHome.get(home);
      if (list === undefined) this.#byHome.set(home, [known]);
      else list.push(known);
    }
    for (const output of passed?.outputs ?? []) {
      const id = outputId(this.#name, idParts(record, output));
      const committed = { ...output, id, pk: '', revision: undefined, isDelivered: false };
      this.#outputs.set(id, committed);
      known.outputs.push(committed);
    }
  }

  /**
   * Newer code reads what has no fate yet otherwise: of a record with an element that had no key nothing is committed
   * before that element's letter is.
   */
  codeChanged(): void {
    for (const checker of this.#family.values()) checker.#codeChanged();
  }

  #codeChanged(): void {
    for (const known of this.#records) {
      const home = known.homes.find(isShardItem);
      if (home === undefined || this.#isCovered(home, known)) continue;
      for (const { id } of known.outputs.splice(0)) this.#outputs.delete(id);
      for (const each of known.homes) {
        const list = this.#byHome.get(each) ?? [];
        list.splice(list.indexOf(known), 1);
      }
      // An element that has its letter keeps it.
      const lettered = this.#truthsOf(home).flatMap((truth) => [
        ...(truth.lettered.get(known.identity) ?? []),
      ]);
      const today = this.oracle.read(known.record).elements;
      const elements = today.map((each) =>
        lettered.includes(each.number) ? { ...each, key: undefined } : each,
      );
      this.#read(known, shardOfItem(home), lettered.length === 0 ? undefined : { ...known, elements });
    }
  }

  /** What a relay puts for a record; elements that it cannot put have no key. */
  #passOn(
    record: SourceRecord,
    read: readonly OracleElement[],
  ): { readonly elements: readonly OracleElement[]; readonly outputs: readonly OracleOutput[] } {
    const outputs: OracleOutput[] = [];
    const elements = read.map(({ number, key }): OracleElement => {
      const step = key === undefined ? undefined : this.oracle.fold(record, key, number);
      if (step?.kind !== 'applied') return { number, key: undefined };
      outputs.push(...step.outputs);
      return { number, key };
    });
    return { elements, outputs };
  }

  /**
   * A write of an item has taken effect.
   * @param batch the records that the writing invocation was given, in their order.
   */
  committed(item: StateItem, batch: readonly SourceRecord[], shard: string): void {
    if (isNotice(item.pk)) return;
    const truth = this.#truth(item.pk);
    const before = this.#replace(truth, item);
    if (before !== undefined && item.revision !== before.revision + 1) {
      this.#say('I1', `${item.pk} goes from revision ${before.revision} to ${item.revision}`);
    }
    const inBatch = new Map(batch.map(({ position }, place) => [`${shard} ${position.sequence}`, place]));
    const fresh = this.#newlyCovered(truth, item, inBatch);
    const newLetters = new Map(fresh.map((known) => [known, this.#newLetters(truth, item, known)]));
    if (isShardItem(item.pk)) this.#checkSettled(before, item);
    if (fresh.length === 0 && this.time === undefined)
      this.#say('I1', `${item.pk} was written although no record ran`);
    const made: Made = { revision: item.revision, events: [], letters: [] };
    let run: TimedRun | undefined;
    if (this.time === undefined || keyOfItem(item.pk) === undefined) {
      for (const known of fresh) this.#apply(truth, known, item.pk, made, newLetters.get(known));
    } else {
      const all = fresh.map(({ record }) => record);
      run = this.time.written(item, all, batch.at(-1), truth.parkedFrom !== undefined);
      this.#applyTimed(truth, fresh, run, item, made);
      this.time.carried(item, (entry) => outputId(this.#name, entry));
    }
    const records = fresh.map((known) => ({ number: known.number, elements: newLetters.get(known) }));
    truth.log.push({ revision: item.revision, records, shares: [], closed: [], run });
    this.#checkWritten(item, truth, before, made);
  }

  /** Records are brought in, and timers fire before and behind them, or without any. */
  #applyTimed(
    truth: ItemTruth,
    fresh: readonly KnownRecord[],
    { steps }: TimedRun,
    { pk }: StateItem,
    made: Made,
  ): void {
    const records = fresh.map(({ record }) => record);
    for (const known of fresh) {
      truth.covered.add(known.identity);
      truth.applied.push(known);
    }
    for (const step of steps) {
      if (step.kind === 'fired') {
        for (const output of this.#take(truth, undefined, pk, step.outputs, made))
          this.time?.made(output.id, timerEntry(output));
        continue;
      }
      const known = fresh[records.indexOf(step.record)] as KnownRecord;
      if (step.kind === 'applied') known.outputs.push(...this.#take(truth, known, pk, step.outputs, made));
      else known.letters.push(this.#reject(truth, known, keyOfItem(pk) as string, pk, undefined, made));
    }
  }

  /** A write of an item by a redrive or a drop has taken effect. */
  redriven(item: StateItem, { action, isForced }: LettersRequest): void {
    const { pk } = item;
    const truth = this.#truth(pk);
    const before = this.#replace(truth, item);
    const made: Made = { revision: item.revision, events: [], letters: [] };
    const shares: string[] = [];
    for (const lane of new Set([...(before?.marks.keys() ?? []), ...item.marks.keys()])) {
      const isNew = before?.marks.has(lane) !== true;
      if (lane === ARRIVAL_MARK) continue;
      if (!isLetterMark(lane)) {
        if (!isDeepStrictEqual(before?.marks.get(lane), item.marks.get(lane)))
          this.#say('I1', `a ${action} changes the mark of ${lane} in ${pk}`);
      } else if (isNew) {
        if (action === 'drop') this.#say('I1', `a drop marks ${lane} in ${pk}`);
        const letter = this.#applyShare(truth, lane, pk, made);
        // A drop closes the letter first, and what a redrive still applies then it brings to its end.
        if (letter?.isClosed === true && !letter.isDropped)
          this.#say('I1', `${pk} gets the mark ${lane} of a letter that is closed`);
        shares.push(lane);
      }
    }
    const closed = truth.letters.filter(({ number, isClosed }) => !isClosed && isClosedIn(item, number));
    if (closed.length > 1) this.#say('I1', `one write closes ${closed.length} letters of ${pk}`);
    for (const letter of closed) this.#close(truth, letter, action, isForced, made);
    truth.log.push({
      revision: item.revision,
      records: [],
      shares,
      closed: closed.map(({ number }) => number),
    });
    this.#checkWritten(item, truth, before, made);
  }

  /** The table has removed an item whose time was over. */
  expired(item: StateItem): void {
    if (isNotice(item.pk)) return;
    const truth = this.#truth(item.pk);
    if (item.states.size > 0) this.#say('I9', `${item.pk} expires with a state`);
    for (const known of this.#byHome.get(truth.home) ?? []) {
      if (!truth.covered.has(known.identity) || !this.#options.isWithinRetention(known.record)) continue;
      this.#say('I9', `${item.pk} expires, and ${shown(known)} can come again`);
    }
    for (const { name, isClosed } of truth.letters)
      if (!isClosed) this.#say('I9', `${item.pk} expires, and letter ${name} is open`);
    truth.item = undefined;
  }

  /** A letter has been removed from where they are stored: nobody will ever come back to it. */
  letterRemoved(name: string): void {
    const letter = this.#letters.get(plainName(name));
    if (letter === undefined) return;
    if (!letter.isClosed)
      this.#say('I6', `dead letter ${name} is removed, and its item says that it is open`);
    for (const output of letter.outputs) {
      if (output.isDelivered || (output.isChange && !this.#isNewest(output))) continue;
      this.#say('I4', `dead letter ${name} is removed, and its output to ${output.sink} is not published`);
    }
    for (const each of letter.letters) {
      if (this.#letters.get(each)?.isStored !== true)
        this.#say('I4', `dead letter ${name} is removed, and ${each}, which it became, is not stored`);
    }
  }

  /** @returns the item as it was. */
  #replace(truth: ItemTruth, item: StateItem): StateItem | undefined {
    const before = truth.item;
    truth.item = item;
    if (before !== undefined && item.revision <= before.revision) {
      this.#say('I1', `${item.pk} goes back from revision ${before.revision} to ${item.revision}`);
    }
    this.#checkMarks(before, item);
    return before;
  }

  #checkWritten(item: StateItem, truth: ItemTruth, before: StateItem | undefined, made: Made): void {
    const kept = new Map(
      (before?.outbox ?? []).map((entry) => [entryName(this.#name, item.pk, entry), entry]),
    );
    this.#checkStates(item);
    this.#checkLetters(item, truth);
    this.#checkOutbox(item, truth, kept, made);
  }

  /** A delivery has taken effect at a sink. */
  delivered(sink: string, delivery: Delivery): void {
    const list = this.deliveries.get(sink);
    if (list === undefined) this.deliveries.set(sink, [delivery]);
    else list.push(delivery);
    const output = this.#outputs.get(delivery.id);
    if (output === undefined) {
      this.#say('I3', `output ${delivery.id} is published, and no committed record makes it`);
      return;
    }
    output.isDelivered = true;
    this.time?.delivered(delivery);
    if (output.destinationKey !== delivery.destinationKey) {
      this.#say(
        'I4',
        `output ${delivery.id} goes to ${delivery.destinationKey}, not ${output.destinationKey}`,
      );
    }
    // Of one source's outputs the one of the highest revision is the newest, whichever comes last.
    if (output.revision !== undefined && output.revision !== delivery.entry.revision) {
      this.#say(
        'I4',
        `output ${delivery.id} says revision ${delivery.entry.revision}, not ${output.revision}`,
      );
    }
    const value: unknown = JSON.parse(delivery.json);
    if (!isDeepStrictEqual(value, output.value)) {
      this.#say('I4', `output ${delivery.id} is ${delivery.json}, not ${JSON.stringify(output.value)}`);
    }
  }

  letterStored(name: string, letter: DeadLetter): void {
    const known = this.#letters.get(plainName(name));
    if (known === undefined) {
      this.#say('I6', `dead letter ${name} is stored, and no committed item says so (${letter.reason})`);
      return;
    }
    known.isStored = true;
  }

  /** The shard's progress row has been written. @param stored what the row says now. */
  advanced(shard: string, { position }: Advance, row: Progress | undefined): void {
    if (position === undefined) return;
    const stored = row?.position;
    this.time?.advanced(shard, position, row);
    const before = this.#progress.get(shard);
    if (before !== undefined && (stored === undefined || comparePositions(stored, before) < 0)) {
      this.#say('I2', `progress of ${shard} goes back`);
    }
    const highest = before !== undefined && comparePositions(before, position) > 0 ? before : position;
    this.#progress.set(shard, highest);
    if (this.#options.parallelizationFactor > 1) return;
    for (const known of this.#records) {
      if (known.record.lane !== shard || comparePositions(known.record.position, position) > 0) continue;
      if (before !== undefined && comparePositions(known.record.position, before) <= 0) continue;
      this.#checkDone('I5', known, `progress of ${shard}`);
    }
  }

  /**
   * Lambda has been told that these records are done.
   * @param reached where the shard's progress row stands: a restored one begins beyond what was seen to be advanced.
   */
  acknowledged(shard: string, sequences: readonly string[], reached: Position | undefined): void {
    for (const known of sequences.flatMap((each) => this.#bySequence.get(`${shard} ${each}`) ?? [])) {
      const { position } = known.record;
      this.#checkDone('I7', known, 'the answer to Lambda');
      if (
        reached === undefined ||
        (this.#options.parallelizationFactor === 1 && comparePositions(reached, position) < 0)
      ) {
        this.#say('I7', `${shown(known)} is acknowledged above the shard's progress`);
      }
      this.#acknowledge(known.number);
    }
  }

  /** Lambda has been told while a rewind is under way: what comes of it is seen at the end. */
  acknowledgedUnseen(shard: string, sequences: readonly string[]): void {
    for (const each of sequences)
      for (const { number } of this.#bySequence.get(`${shard} ${each}`) ?? []) this.#acknowledge(number);
  }

  #acknowledge(number: number): void {
    for (const checker of this.#family.values()) {
      const known = checker.#records[number];
      if (known === undefined || known.isAcknowledged) continue;
      known.isAcknowledged = true;
      checker.#acknowledged += 1;
    }
  }

  /**
   * Everything has come to rest.
   * @param stored the items as the store gives them back. @param areLettersDone whether operators have done with all.
   * @param wasUndone whether a rewind was that had published. @param areTimersDone whether sweeps find nothing any more.
   */
  atRest(
    stored: ReadonlyMap<string, StateItem>,
    areLettersDone = false,
    wasUndone = false,
    areTimersDone = false,
  ): void {
    if (areLettersDone) this.#checkLettersDone();
    for (const known of this.#records) {
      if (!known.isAcknowledged) this.#say('liveness', `${shown(known)} is not acknowledged`);
      this.#checkDone('I1', known, 'the end');
    }
    for (const [pk, { item, applied, newest, parkedFrom }] of this.#items) {
      const found = stored.get(pk);
      if (found !== undefined && !isDeepStrictEqual(found.states, item?.states)) {
        this.#say('I1', `the store gives back another state of ${pk} than was committed`);
      }
      if (this.#options.isOrdered) this.#checkOrder(pk, applied);
      // What an undone replay has published stays the newest until the key's next record.
      // Nor does a key that a replay has parked earlier, for the order of two shards, give again what came before it then.
      const isParkedAnew = parkedFrom !== undefined && this.#family.size > 1 && !this.#isOrderFixed;
      if (wasUndone || isParkedAnew) continue;
      for (const outputs of newest.values()) {
        // What a fork has taken over it does not publish: a sink shows what it did until the key's next record.
        if (outputs.every(({ isOfOther }) => isOfOther !== true)) this.#checkNewest(pk, outputs);
      }
    }
    this.#checkConsumers();
    if (areTimersDone) this.time?.atRest(stored);
  }

  /**
   * The elements without a key of which an item now tells that they have letters, and did not before: those of one record
   * may have no room together, and then they come in parts.
   */
  #newLetters({ lettered }: ItemTruth, item: StateItem, known: KnownRecord): readonly number[] | undefined {
    if (!isShardItem(item.pk)) return undefined;
    const listed = item.rejected?.find(
      ({ position }) => compareMarkPositions(position, known.markPosition) === 0,
    )?.elements;
    const before = lettered.get(known.identity);
    return withoutKey(known).filter(
      (number) => before?.has(number) !== true && listed?.includes(number) !== false,
    );
  }

  /** @param elements of a record without a key: those that get letters. */
  #apply(
    truth: ItemTruth,
    known: KnownRecord,
    pk: string,
    made: Made,
    elements: readonly number[] = withoutKey(known),
  ): void {
    const key = keyOfItem(pk);
    const lettered = truth.lettered.get(known.identity) ?? new Set<number>();
    if (lettered.size === 0) truth.applied.push(known);
    if (key !== undefined) {
      truth.covered.add(known.identity);
      const { outputs, letters } = this.#run(truth, known, key, pk, undefined, made);
      known.outputs.push(...outputs);
      known.letters.push(...letters);
      return;
    }
    truth.lettered.set(known.identity, lettered);
    for (const number of elements) {
      lettered.add(number);
      known.letters.push(this.#addLetter(truth, known, undefined, pk, number, made));
    }
    if (withoutKey(known).every((number) => lettered.has(number))) truth.covered.add(known.identity);
  }

  /** A record without keys is redriven for one that it has now. */
  #applyShare(truth: ItemTruth, mark: string, pk: string, made: Made): LetterTruth | undefined {
    const letter = this.#letterOf(mark);
    const key = keyOfItem(pk);
    if (letter === undefined || key === undefined) {
      this.#say('I1', `${pk} has the mark ${mark} of no letter`);
      return undefined;
    }
    if (letter.appliedTo.has(key)) this.#say('I1', `letter ${letter.name} is applied to ${key} twice`);
    letter.appliedTo.add(key);
    const { outputs, letters } = this.#run(truth, letter.record, key, pk, letter.element, made);
    letter.outputs.push(...outputs);
    letter.letters.push(...letters);
    return letter;
  }

  /** The letter of such a mark. */
  #letterOf(mark: string): LetterTruth | undefined {
    return [...this.#letters.values()].find(
      ({ pk, number }) => keyOfItem(pk) === undefined && letterMark(pk, number) === mark,
    );
  }

  /** A letter of which the mark is restored, perhaps before the item that says whether it is open. */
  #foretell(mark: string, from: Checker): void {
    const like = from.#letterOf(mark);
    if (like === undefined || this.#letterOf(mark) !== undefined) return;
    const { pk, number, record, element } = like;
    const own = this.#records[record.number] as KnownRecord;
    const place = `${this.#generation}${pk.slice(pk.indexOf('/'))}`;
    const { name } = this.#makeLetter(place, own, undefined, element ?? own.elements[0]?.number ?? 0, number);
    if (!like.name.endsWith(name.slice(name.indexOf('/')))) throw new Error(`${name} is not ${like.name}`);
  }

  /** A record runs for a key: what it makes, or the letter that it becomes. */
  #run(
    truth: ItemTruth,
    known: KnownRecord,
    key: string,
    pk: string,
    only: number | undefined,
    made: Made,
  ): { readonly outputs: readonly CommittedOutput[]; readonly letters: readonly string[] } {
    const { record } = known;
    const isParked = truth.parkedFrom !== undefined;
    if (isParked) this.oracle.pass(record, key);
    const step = isParked ? PARKED : this.oracle.fold(record, key, only);
    if (step.kind === 'applied')
      return { outputs: this.#take(truth, known, pk, step.outputs, made), letters: [] };
    return { outputs: [], letters: [this.#reject(truth, known, key, pk, only, made)] };
  }

  #reject(
    truth: ItemTruth,
    known: KnownRecord,
    key: string,
    pk: string,
    only: number | undefined,
    made: Made,
  ): string {
    if (this.#options.definition.onRecordError === 'parkKey') truth.parkedFrom ??= truth.letters.length;
    // All elements of a key are rejected together.
    const { elements } = this.oracle.read(known.record);
    const first = only ?? elements.find((element) => element.key === key)?.number ?? 0;
    return this.#addLetter(truth, known, key, pk, first, made);
  }

  #addLetter(
    truth: ItemTruth,
    known: KnownRecord,
    key: string | undefined,
    pk: string,
    element: number,
    made: Made,
  ): string {
    const letter = this.#makeLetter(pk, known, key, element, truth.letters.length);
    truth.letters.push(letter);
    made.letters.push(letter.name);
    return letter.name;
  }

  #makeLetter(
    pk: string,
    known: KnownRecord,
    key: string | undefined,
    element: number,
    number: number,
  ): LetterTruth {
    const { lane, position } = known.record;
    const entry = { kind: 'deadLetter', number, lane, position, element };
    const name = letterName(this.#generation, key, entry as DeadLetterEntry);
    const foretold = this.#letters.get(name);
    if (foretold !== undefined) return foretold;
    const letter: LetterTruth = {
      name,
      pk,
      number,
      record: known,
      element: key === undefined && !known.isWhole ? element : undefined,
      appliedTo: new Set(),
      outputs: [],
      letters: [],
      isStored: false,
      isClosed: false,
      isDropped: false,
    };
    this.#letters.set(name, letter);
    return letter;
  }

  /** The outputs of a record are committed, or those of a timer. */
  #take(
    truth: ItemTruth,
    known: KnownRecord | undefined,
    pk: string,
    outputs: readonly OracleOutput[],
    { revision, events }: Made,
  ): CommittedOutput[] {
    const all: CommittedOutput[] = [];
    const changed = new Map<string, CommittedOutput[]>();
    for (const output of outputs) {
      const id = outputId(this.#name, idParts(known?.record, output));
      const committed = { ...output, id, pk, revision, isDelivered: false };
      if (this.#outputs.has(id)) this.#say('I1', `output ${id} is made twice`);
      this.#outputs.set(id, committed);
      all.push(committed);
      if (!output.isChange) {
        events.push(committed);
        continue;
      }
      const target = `${output.sink} ${output.destinationKey}`;
      const earlier = changed.get(target);
      if (earlier?.[0]?.element === output.element) earlier.push(committed);
      else changed.set(target, [committed]);
    }
    for (const [target, outputs] of changed) truth.newest.set(target, outputs);
    return all;
  }

  /** A letter has been closed: by a redrive its record is in the item, or in those of all its keys. */
  #close(
    truth: ItemTruth,
    letter: LetterTruth,
    action: LettersRequest['action'],
    isForced: boolean,
    made: Made,
  ): void {
    const { record: known, number, pk, name } = letter;
    const key = keyOfItem(pk);
    if (action === 'redrive' && key !== undefined) {
      const { parkedFrom } = truth;
      const isParked = parkedFrom !== undefined && number >= parkedFrom;
      const first = firstOpen(truth, isParked ? parkedFrom : 0);
      if ((isParked || !isForced) && first !== number)
        this.#say('order', `letter ${name} is redriven before letter number ${first} of its key`);
      const step = this.oracle.fold(known.record, key);
      if (step.kind === 'applied') letter.outputs.push(...this.#take(truth, known, pk, step.outputs, made));
      else this.#say('I1', `letter ${name} is redriven, and its record is still rejected: ${step.reason}`);
    }
    if (action === 'redrive' && key === undefined && this.#options.isRelay) {
      this.#putAgain(truth, letter, made);
    } else if (action === 'redrive' && key === undefined) {
      this.#checkApplied(letter);
    }
    letter.isClosed = true;
    letter.isDropped = action === 'drop';
    if (truth.parkedFrom === undefined) return;
    const head = firstOpen(truth, truth.parkedFrom);
    truth.parkedFrom = head === truth.letters.length ? undefined : head;
  }

  /** What was rejected without keys, and is closed by a redrive, is in each that it has. */
  #checkApplied({ name, record: { record }, element: only, appliedTo }: LetterTruth): void {
    for (const { number, key } of this.oracle.read(record).elements) {
      if ((only ?? number) !== number) continue;
      if (key === undefined || !appliedTo.has(key))
        this.#say('I1', `letter ${name} is closed, and not applied to key ${key ?? 'unknown'}`);
    }
  }

  /** What a relay has rejected is put by way of its shard's item. */
  #putAgain(truth: ItemTruth, { name, pk, record: known, element, outputs }: LetterTruth, made: Made): void {
    for (const { number, key } of this.oracle.read(known.record).elements) {
      if ((element ?? number) !== number) continue;
      const step = key === undefined ? undefined : this.oracle.fold(known.record, key, number);
      if (step?.kind === 'applied') outputs.push(...this.#take(truth, known, pk, step.outputs, made));
      else
        this.#say('I1', `letter ${name} is redriven, and element ${number} of its record is still rejected`);
    }
  }

  /** The item tells of the letters what is true. */
  #checkLetters(item: StateItem, { letters, parkedFrom }: ItemTruth): void {
    const next = item.letters?.next ?? 0;
    if (next !== letters.length)
      this.#say('I6', `${item.pk} tells of ${next} letters, not ${letters.length}`);
    if (item.letters?.parkedFrom !== parkedFrom)
      this.#say('I6', `${item.pk} is parked from ${item.letters?.parkedFrom}, not ${parkedFrom}`);
    for (const { number, isClosed } of letters) {
      if (isClosedIn(item, number) !== isClosed)
        this.#say('I6', `${item.pk} says that letter ${number} is ${isClosed ? 'open' : 'closed'}`);
    }
  }

  /** No letter is open, and no item tells of a redrive any more. */
  #checkLettersDone(): void {
    for (const letter of this.#letters.values()) {
      const { name, pk, isClosed, isDropped } = letter;
      if (!isClosed) this.#say('liveness', `letter ${name} is open, and stored no more`);
      else if (keyOfItem(pk) === undefined && !isDropped && !this.#options.isRelay)
        this.#checkApplied(letter);
    }
    for (const [pk, { item, parkedFrom }] of this.#items) {
      if (parkedFrom !== undefined) this.#say('liveness', `${pk} is parked for ever`);
      for (const lane of item?.marks.keys() ?? []) {
        if (isLetterMark(lane)) this.#say('liveness', `${pk} keeps the mark ${lane} for ever`);
      }
    }
  }

  #checkMarks(before: StateItem | undefined, after: StateItem): void {
    for (const [lane, mark] of before?.marks ?? []) {
      const now = after.marks.get(lane);
      if (isLetterMark(lane)) {
        if (now === undefined && this.#isOpenMark(lane))
          this.#say('I1', `${after.pk} has lost the mark ${lane} of a letter that is open`);
      } else if (now !== undefined && comparePositions(now.position, mark.position) < 0) {
        this.#say('I2', `the mark of ${lane} in ${after.pk} goes back`);
      }
    }
  }

  #isOpenMark(mark: string): boolean {
    return [...this.#letters.values()].some(
      ({ pk, number, isClosed }) =>
        !isClosed && keyOfItem(pk) === undefined && letterMark(pk, number) === mark,
    );
  }

  /** What a shard's own item says is settled has its fate: newer code passes it over. */
  #checkSettled(before: StateItem | undefined, { pk, settled: mark }: StateItem): void {
    const lane = shardOfItem(pk);
    if (mark === undefined) return;
    for (const known of this.#records) {
      const isBelow = (position: MarkPosition): boolean =>
        compareMarkPositions(known.markPosition, position) <= 0;
      if (!known.lanes.includes(lane) || !isBelow(mark)) continue;
      const earlier = before?.settled;
      if (earlier !== undefined && isBelow(earlier)) continue;
      for (const home of known.homes) {
        if (!this.#isCovered(home, known))
          this.#say('I1', `${pk} says that ${shown(known)} is settled, and it is not committed in ${home}`);
      }
    }
  }

  /** Records that the item's marks cover now and did not before; and none may come uncovered while it can come again. */
  #newlyCovered(truth: ItemTruth, item: StateItem, inBatch: ReadonlyMap<string, number>): KnownRecord[] {
    const fresh: KnownRecord[] = [];
    for (const known of this.#byHome.get(truth.home) ?? []) {
      const isCovered = coversRecord(item, known);
      const wasCovered = truth.covered.has(known.identity);
      const isFresh =
        isCovered &&
        !this.#isCovered(truth.home, known) &&
        this.#newLetters(truth, item, known)?.length !== 0;
      if (isFresh) fresh.push(known);
      if (!isCovered && wasCovered && this.#options.isWithinRetention(known.record)) {
        this.#say('I9', `${item.pk} has lost the mark of ${shown(known)}, which can come again`);
      }
    }
    return this.#firstOfEach(fresh, item.pk, inBatch);
  }

  /** What was covered must have been in the batch that did it; of repeats the first one counts. In the batch's order. */
  #firstOfEach(
    fresh: readonly KnownRecord[],
    pk: string,
    inBatch: ReadonlyMap<string, number>,
  ): KnownRecord[] {
    const firsts = new Map<string, { readonly known: KnownRecord; readonly place: number }>();
    for (const known of fresh) {
      const { lane, position } = known.record;
      const place = (inBatch.get(`${lane} ${position.sequence}`) ?? Infinity) + position.sub * SUB_PLACE;
      if (place < (firsts.get(known.identity)?.place ?? Infinity) || !firsts.has(known.identity)) {
        firsts.set(known.identity, { known, place });
      }
    }
    for (const { known, place } of firsts.values()) {
      if (place === Infinity)
        this.#say('I1', `${pk} covers ${shown(known)}, which was not in the batch that wrote it`);
    }
    return [...firsts.values()].toSorted((a, b) => a.place - b.place).map(({ known }) => known);
  }

  #isCovered(home: string, { identity }: KnownRecord): boolean {
    return this.#truthsOf(home).some(({ covered }) => covered.has(identity));
  }

  #checkStates(item: StateItem): void {
    const key = keyOfItem(item.pk);
    if (key === undefined) return;
    const wrong = this.#options.wrongIn?.(item.states);
    if (wrong !== undefined) this.#say('I1', `the state of ${item.pk} cannot be: ${wrong}`);
    const expected = this.time?.statesOf(key) ?? this.oracle.states(key);
    if (isDeepStrictEqual(new Map(item.states), new Map(expected))) return;
    this.#say(
      'I1',
      `the state of ${item.pk} is ${JSON.stringify([...item.states])}, not ${JSON.stringify([...expected])}`,
    );
  }

  #checkOutbox(
    item: StateItem,
    { newest }: ItemTruth,
    before: ReadonlyMap<string, OutboxEntry>,
    { events, letters }: Made,
  ): void {
    const now = new Map(item.outbox.map((entry) => [entryName(this.#name, item.pk, entry), entry]));
    for (const { id } of events) {
      if (!now.has(id)) this.#say('I1', `event ${id} is not committed with its record`);
    }
    for (const name of letters) {
      if (!now.has(name)) this.#say('I1', `dead letter ${name} is not committed with its record`);
    }
    for (const outputs of newest.values()) {
      for (const { id, isDelivered } of outputs) {
        if (!isDelivered && !now.has(id)) {
          this.#say('I4', `change ${id}, the newest and not published, is not in the outbox`);
        }
      }
    }
    for (const [name, entry] of before) {
      if (now.has(name)) continue;
      if (entry.kind === 'deadLetter') {
        if (this.#letters.get(name)?.isStored !== true)
          this.#say('I4', `dead letter ${name} is dropped and not stored`);
      } else if (!entry.isChange && this.#outputs.get(name)?.isDelivered !== true) {
        this.#say('I4', `event ${name} is dropped and not published`);
      }
    }
    for (const [name, entry] of now) {
      const isKnown = entry.kind === 'deadLetter' ? this.#letters.has(name) : this.#outputs.has(name);
      if (!isKnown)
        this.#say(
          entry.kind === 'deadLetter' ? 'I6' : 'I1',
          `the outbox holds ${name}, which no record makes`,
        );
    }
  }

  /** Committed, and everything of it published or superseded, and stored. */
  #checkDone(invariant: string, known: KnownRecord, where: string): void {
    for (const home of known.homes) {
      if (this.#isCovered(home, known)) continue;
      this.#say(invariant, `${where} covers ${shown(known)}, which is not committed in ${home}`);
    }
    for (const output of known.outputs) {
      if (output.isDelivered) continue;
      if (output.isChange && !this.#isNewest(output)) continue;
      this.#say(
        invariant,
        `${where} covers ${shown(known)}, whose output to ${output.sink} is not published`,
      );
    }
    for (const name of known.letters) {
      if (this.#letters.get(name)?.isStored === false) {
        this.#say(invariant, `${where} covers ${shown(known)}, whose dead letter is not stored`);
      }
    }
  }

  #isNewest(output: CommittedOutput): boolean {
    const newest = this.#truth(output.pk).newest.get(`${output.sink} ${output.destinationKey}`);
    return newest?.includes(output) === true;
  }

  /**
   * A partition key's records (of aggregates, those of its key) of one item stand in it in the order in which they were
   * put; outputs of another pipeline, which may have been put again in between, in the order in which they were made.
   */
  #checkOrder(pk: string, applied: readonly KnownRecord[]): void {
    const isChained = this.#options.definition.source.chained !== undefined;
    const last = new Map<string, KnownRecord>();
    for (const known of applied) {
      const { deliveryKey, partitionKey } = known.record;
      const lane = isChained ? (known.lanes[0] as string) : (deliveryKey ?? partitionKey);
      const previous = last.get(lane);
      const isBehind =
        previous !== undefined &&
        (isChained
          ? compareMarkPositions(previous.markPosition, known.markPosition) > 0
          : previous.number > known.number);
      if (isBehind) this.#say('order', `${pk} has ${shown(known)} behind ${shown(previous)}`);
      last.set(lane, known);
    }
  }

  /** A consumer that keeps, of each source, the highest revision ends with the newest change. */
  #checkNewest(pk: string, outputs: readonly CommittedOutput[]): void {
    const { sink, destinationKey, value } = outputs.at(-1) as CommittedOutput;
    const what = `the newest change of ${pk} for ${sink} ${destinationKey}`;
    if (outputs.some(({ isDelivered }) => !isDelivered)) this.#say('I4', `${what} is not published`);
    let last: Delivery | undefined;
    for (const delivery of this.deliveries.get(sink) ?? []) {
      if (sourceOf(delivery.pk) !== sourceOf(pk) || delivery.destinationKey !== destinationKey) continue;
      if (last === undefined || delivery.revision >= last.revision) last = delivery;
    }
    if (last !== undefined && !isDeepStrictEqual(JSON.parse(last.json), value)) {
      this.#say('I4', `${what} is not what a consumer ends with, which is ${last.json}`);
    }
  }

  /** A consumer that skips what its marks cover, per lane and destination key, sees each event once. */
  #checkConsumers(): void {
    // Where the order of two shards decides, a replay may make other events.
    if (this.#family.size > 1 && !this.#isOrderFixed) return;
    if (this.#family.size > 1 && this.#dependsOnMoments) return;
    // A rewind redoes letters behind all records, and says which outputs are counted again.
    const isRedone = [...this.#family.values()].some(
      (each) => each !== this && [...each.#letters.values()].some(({ appliedTo }) => appliedTo.size > 0),
    );
    if (isRedone) return;
    const wanted = new Map<string, CommittedOutput>();
    for (const [id, output] of this.#outputs) if (!output.isChange) wanted.set(id, output);
    for (const deliveries of this.deliveries.values()) {
      const marks = new Map<string, MarkPosition>();
      for (const delivery of deliveries) {
        if (delivery.entry.isChange) continue;
        const { lane: own, position, element } = standingOf(delivery.entry);
        const lane = `${own} ${delivery.destinationKey}`;
        const place = { ...position, element, index: delivery.entry.index };
        const mark = marks.get(lane);
        if (mark !== undefined && compareMarkPositions(place, mark) <= 0) continue;
        marks.set(lane, place);
        if (!wanted.delete(delivery.id)) this.#say('I4', `a consumer counts event ${delivery.id} twice`);
      }
    }
    for (const [id, { isOfOther }] of wanted)
      if (isOfOther !== true) this.#say('I4', `a consumer never counts event ${id}`);
  }

  #truth(pk: string): ItemTruth {
    let truth = this.#items.get(pk);
    if (truth === undefined) {
      const home = isShardItem(pk) ? shardOfLane(pk) : pk;
      truth = {
        home,
        item: undefined,
        applied: [],
        covered: new Set(),
        lettered: new Map(),
        letters: [],
        parkedFrom: undefined,
        newest: new Map(),
        log: [],
      };
      this.#items.set(pk, truth);
    }
    return truth;
  }

  /** A shard has an item for each lane in which a record had no key. */
  #truthsOf(home: string): ItemTruth[] {
    if (isShardItem(home)) return [...this.#items.values()].filter((truth) => truth.home === home);
    const truth = this.#items.get(home);
    return truth === undefined ? [] : [truth];
  }

  #say(invariant: string, what: string): void {
    // A rewind does not touch what is passed on, and carries its letters over: see the tests of rewinds.
    if (this.#options.isRelay === true && this.#generation > 1) return;
    this.violations.push(`${invariant} [${this.#name}] ${what}`);
  }
}

function coversRecord(
  { pk, marks, rejected = [] }: StateItem,
  { lanes, markPosition }: KnownRecord,
): boolean {
  const isListed = rejected.some(({ position }) => compareMarkPositions(position, markPosition) === 0);
  if (isListed && lanes.includes(shardOfItem(pk))) return true;
  return lanes.some((lane) => {
    const mark = marks.get(lane);
    return mark !== undefined && compareMarkPositions(markPosition, mark.position) <= 0;
  });
}

function withoutKey({ elements }: KnownRecord): readonly number[] {
  return elements.flatMap(({ number, key }) => (key === undefined ? [number] : []));
}

function isShardItem(pk: string): boolean {
  return keyOfItem(pk) === undefined;
}

/** A run of the same records, as another checker knows them. */
function ofRecords(
  { key, steps }: TimedRun,
  theirs: readonly (SourceRecord | undefined)[],
  own: readonly KnownRecord[],
): TimedRun {
  return {
    key,
    steps: steps.map((step) =>
      step.kind === 'fired'
        ? step
        : { ...step, record: (own[theirs.indexOf(step.record)] as KnownRecord).record },
    ),
  };
}

/** @param record what made it; nothing of what a timer made. */
function idParts(
  record: SourceRecord | undefined,
  { element, sink, index, origin }: OracleOutput,
): OutputEntry {
  return { ...placeOf(origin ?? record), element, sink, index } as OutputEntry;
}

function placeOf(at: OracleOutput['origin']): Partial<Pick<OutputEntry, 'lane' | 'position'>> {
  return at === undefined ? {} : { lane: at.lane, position: at.position };
}

function timerEntry(output: CommittedOutput): OutputEntry {
  const { destinationKey, isChange } = output;
  return { ...idParts(undefined, output), destinationKey, isChange };
}

function entryName(pipeline: string, pk: string, entry: OutboxEntry): string {
  return entry.kind === 'output'
    ? outputId(pipeline, entry)
    : letterName(generationOf(pk), keyOfItem(pk), entry);
}

function letterName(generation: number, key: string | undefined, entry: DeadLetterEntry): string {
  return plainName(deadLetterName(generation, key, entry));
}

/** A letter's name without where its record was rejected, which the records alone do not say. */
function plainName(name: string): string {
  return name.replace(/\.[a-zA-Z]+\.json$/, '');
}

function isClosedIn({ letters = NO_LETTERS }: StateItem, number: number): boolean {
  return letters.closed.some(({ from, below }) => from <= number && number < below);
}

/** The first open letter at or above `from`, or the number of the next. */
function firstOpen({ letters }: ItemTruth, from: number): number {
  return letters.find(({ number, isClosed }) => number >= from && !isClosed)?.number ?? letters.length;
}

const PARKED: OracleStep = { kind: 'rejected', reason: 'parked' };

/** Small enough that all records of an aggregate come before the next record of the batch. */
const SUB_PLACE = 2 ** -20;

function shown({ record: { lane, position }, number }: KnownRecord): string {
  return `record ${number} (${lane} …${position.sequence.slice(-3)}.${position.sub})`;
}
