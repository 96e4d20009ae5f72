import { deadLetterName } from '../output/dead-letter-name.ts';
import type { DeadLetter, RedrivePlace, RedrivePlaces } from '../output/dead-letter-store.ts';
import { hashOfKey } from '../output/output-id.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { KinesisSink } from '../pipeline/definition.ts';
import type { Position } from '../source/position.ts';
import type { SourceRecord } from '../source/record.ts';
import { documentsBytes } from '../state/canonical-document.ts';
import { emptyItem } from '../state/empty-item.ts';
import { closeLetter, firstOpenLetter, letterStatus, NO_LETTERS } from '../state/letters.ts';
import { firstRevision } from '../state/revision.ts';
import { generationOf, itemKey, keyOfItem } from '../state/row-key.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import type { Control } from '../state/state-store.ts';
import { bringForward } from './bring-forward.ts';
import { readAcknowledged, stamped } from './commit.ts';
import type { Element } from './elements.ts';
import { foldItem, type FoldScope } from './fold.ts';
import { FreshValues } from './fresh-values.ts';
import {
  deliveriesOf,
  elementsOf,
  entryId,
  isLetter,
  isMeantBy,
  isOfRecord,
  placeOf,
  positionOf,
  rejectionOfMeant,
  rewritten,
} from './letter-record.ts';
import {
  BUSY,
  type Ending,
  hasTooManyGaps,
  type LetterOutcome,
  type LetterResult,
  type LettersRequest,
  NO_ELEMENT,
  NOT_PUBLISHED,
  rejectedAgain,
  TOO_LARGE,
  TOO_MANY_GAPS,
  UNKNOWN_LETTER,
  waitsForCheckpoint,
} from './letter-results.ts';
import { INLINE_STATE_LIMIT_BYTES } from './limits.ts';
import { entryBytes } from './outbox-draft.ts';
import { addDelivery, deliver, type Deliveries, letterOf } from './publish-committed.ts';
import type { RedriveLane } from './redrive-lane.ts';
import { isRedriveLane, letterMark, withoutLetterMark } from './redrive-lane.ts';
import { isOfOneElement } from './rejected-records.ts';
import type { Runtime } from './runtime.ts';

/** One letter's way. */
export class LetterWork {
  /** Of the half that rejected the record, once that is known. */
  #runtime: Runtime;
  readonly #request: LettersRequest;
  readonly #control: Control;
  readonly #lane: RedriveLane;
  readonly #keepGoing: () => boolean;
  readonly #name: string;
  /** By shard: everything of it at or below is acknowledged. Read where an outbox is full. */
  readonly #acknowledged = new Map<string, Position>();
  /** By the hash of the key: where outputs are to stand that an earlier redrive has published. */
  readonly #given: RedrivePlaces;
  /** By the hash of the key: where the outputs of what is committed stand. */
  readonly #places = new Map<string, RedrivePlace>();
  /** By the hash of the key: where the outputs of the last try stand, or would. */
  readonly #tried = new Map<string, RedrivePlace>();
  #isKept = false;
  hasNewPlaces = false;

  constructor(
    runtime: Runtime,
    request: LettersRequest,
    control: Control,
    lane: RedriveLane,
    keepGoing: () => boolean,
    name: string,
    places: RedrivePlaces = {},
  ) {
    this.#runtime = runtime;
    this.#request = request;
    this.#control = control;
    this.#lane = lane;
    this.#keepGoing = keepGoing;
    this.#name = name;
    this.#given = places;
  }

  async run(): Promise<LetterResult> {
    const name = this.#name;
    if (!this.#keepGoing()) return { name, outcome: 'notBegun' };
    try {
      return { name, ...(await this.#run()) };
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      return { name, outcome: 'unfinished', reason: String(error) };
    }
  }

  async #run(): Promise<Ending> {
    const letter = await this.#runtime.deadLetters.get(this.#name);
    if (letter === undefined) return { outcome: 'missing' };
    this.#runtime = this.#runtime.runtimeFor?.(letter.stream) ?? this.#runtime;
    const isDrop = this.#request.action === 'drop';
    const { generation, phase } = this.#control;
    if (phase !== 'live') return { outcome: 'notBegun', reason: `the pipeline is in phase '${phase}'` };
    if (letter.generation !== generation) {
      if (isDrop) return this.#takeOut('dropped');
      return {
        outcome: 'stale',
        reason: `it is of generation ${letter.generation}, and generation ${generation} has processed its record anew; drop it`,
      };
    }
    if (isDrop) return this.#drop(letter);
    const { relay } = this.#runtime.program;
    if (relay !== undefined) return this.#redriveRelayed(letter, relay);
    return letter.key === undefined ? this.#redriveWhole(letter) : this.#redriveForKey(letter, letter.key);
  }

  /** Applies the record to the key that rejected it, and closes the letter, in one write. */
  async #redriveForKey(letter: DeadLetter, key: string): Promise<Ending> {
    const { number } = letter;
    for (let tries = 0; tries < REDRIVE_TRIES && this.#keepGoing(); tries++) {
      const item = await this.#load(letter.item);
      const status = letterStatus(item?.letters ?? NO_LETTERS, number);
      if (item === undefined || status === 'unknown') return UNKNOWN_LETTER;
      // What an earlier redrive of the key has left is published first, in the order of the commits.
      const pending = await this.#settle(letter, item);
      if (pending === 'failed') return NOT_PUBLISHED;
      if (pending === 'cleared') continue;
      if (status === 'closed') return this.#putAway(letter, 'alreadyDone');
      const obstacle = this.#obstacle(item, number);
      if (obstacle !== undefined) return { outcome: 'waiting', reason: obstacle };

      const record = this.#recordOf(letter, key);
      const { elements, rejections } = elementsOf(this.#runtime.program, record);
      const isOwn = isMeantBy(letter);
      const own = (elements.get(key) ?? []).filter(isOwn);
      if (own.length === 0) {
        const rejection = rejectionOfMeant(rejections, isOwn);
        return rejection === undefined ? NO_ELEMENT : rejectedAgain(rejection);
      }
      // Only what is behind it is parked. What is rejected again is not committed.
      const { next, closed } = item.letters ?? NO_LETTERS;
      const folded = this.#fold(letter, { ...item, letters: { next, closed } }, key, record, own, true);
      if ('outcome' in folded) {
        if (await this.#makesRoom(folded, item)) continue;
        return folded;
      }
      const written: StateItem = {
        ...folded,
        outbox: folded.outbox.filter((entry) => !isLetter(entry, number)),
        letters: closeLetter(item.letters ?? NO_LETTERS, number),
      };
      if (!(await this.#commit(written, item))) continue;
      if ((await this.#settle(letter, written)) === 'failed') return NOT_PUBLISHED;
      return this.#putAway(letter, 'redriven');
    }
    return BUSY;
  }

  /**
   * A record that was rejected before it had keys: applied to each that it has by today's code. The keys' items keep a
   * mark of the letter until it is closed in the shard's item, which comes after the last of them. Each is read before
   * the shard's item is: who sees no mark any more sees the letter closed.
   *
   * A checkpoint's scan sees these items at different moments. So that it never finds the letter closed and a key
   * without its share, no one checkpoint is under way from the first share to the closing; nor, so that it never finds
   * a share without its mark and the letter open, from the closing to the first mark that goes (I8).
   */
  async #redriveWhole(letter: DeadLetter): Promise<Ending> {
    // Nothing is begun that would have to wait, and no letter that a checkpoint's scan may have come too early for.
    const wait = waitsForCheckpoint(this.#control, this.#runtime.clock.nowMs());
    if (wait !== undefined) return wait;
    const { elements, rejections } = elementsOf(this.#runtime.program, this.#recordOf(letter));
    const isOne = isOfOneElement(letter.stage);
    const isOwn = isMeantBy(letter);
    const own = new Map<string, readonly Element[]>();
    for (const [key, all] of elements) if (all.some(isOwn)) own.set(key, all.filter(isOwn));
    const rejection = rejectionOfMeant(rejections, isOwn);
    if (rejection !== undefined || (isOne && own.size === 0)) {
      const { letters = NO_LETTERS } = (await this.#load(letter.item)) ?? {};
      if (letterStatus(letters, letter.number) === 'closed') return this.#putAway(letter, 'alreadyDone');
      return rejection === undefined ? NO_ELEMENT : rejectedAgain(rejection);
    }
    const pks = [...own.keys()].map((key) => itemKey(letter.generation, key));
    // What a key rejects of it becomes a letter of that key, for nothing that this letter is not for.
    const all = [...[...elements.values()].flat(), ...rejections];
    const others = new Set(letter.except);
    for (const element of all) if (!isOwn(element)) others.add(element.number);
    let wasClosed = false;
    for (const [key, some] of own) {
      const ending = await this.#redriveShare(letter, key, some, others);
      if (ending === 'closed') wasClosed = true;
      else if (ending !== 'applied') return ending;
      if (wasClosed) break;
    }
    if (!wasClosed) {
      const closing = (await this.#checkpointUnderWay()) ?? (await this.#close(letter));
      if (closing === 'unknown') return UNKNOWN_LETTER;
      if (typeof closing === 'object') return closing;
      wasClosed = closing === 'closed';
    }
    return this.#finish(letter, pks, wasClosed ? 'alreadyDone' : 'redriven');
  }

  /**
   * What the front of a repartition has rejected: one write of the shard's item closes the letter and holds what the
   * record becomes, until it is put into the internal stream. Put again after a crash it has the same provenance.
   */
  async #redriveRelayed(letter: DeadLetter, relay: KinesisSink): Promise<Ending> {
    const { number } = letter;
    const { program, clock } = this.#runtime;
    for (let tries = 0; tries < REDRIVE_TRIES && this.#keepGoing(); tries++) {
      const item = await this.#load(letter.item);
      const status = letterStatus(item?.letters ?? NO_LETTERS, number);
      if (item === undefined || status === 'unknown') return UNKNOWN_LETTER;
      const pending = await this.#settle(letter, item);
      if (pending === 'failed') return NOT_PUBLISHED;
      if (pending === 'cleared') continue;
      if (status === 'closed') return this.#putAway(letter, 'alreadyDone');
      if (hasTooManyGaps(item.letters ?? NO_LETTERS, number)) return TOO_MANY_GAPS;

      const record = this.#recordOf(letter);
      const deliveries = deliveriesOf(program, relay, record, isMeantBy(letter));
      if ('stage' in deliveries) return rejectedAgain(deliveries);
      if (isOfOneElement(letter.stage) && deliveries.length === 0) return NO_ELEMENT;
      const revision = item.revision + 1;
      const origin = { lane: letter.lane, position: positionOf(letter) };
      const entries = deliveries.map(({ entry }): OutboxEntry => {
        // Who marks what it has seen by arrival must not forget it at once.
        return { ...entry, origin, revision, arrivalMs: clock.nowMs() };
      });
      const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
      if (bytes > INLINE_STATE_LIMIT_BYTES) return TOO_LARGE;
      const written = rewritten(item, {
        outbox: [...item.outbox.filter((entry) => !isLetter(entry, number)), ...entries],
        letters: closeLetter(item.letters ?? NO_LETTERS, number),
      });
      if (!(await this.#commit(written, item))) continue;
      if ((await this.#settle(letter, written)) === 'failed') return NOT_PUBLISHED;
      return this.#putAway(letter, 'redriven');
    }
    return BUSY;
  }

  /** One key's share of a whole record. `closed`: the letter is, and with it every share. */
  async #redriveShare(
    letter: DeadLetter,
    key: string,
    elements: readonly Element[],
    others: ReadonlySet<number>,
  ): Promise<'applied' | 'closed' | Ending> {
    const pk = itemKey(letter.generation, key);
    const mark = letterMark(letter.item, letter.number);
    for (let tries = 0; tries < REDRIVE_TRIES && this.#keepGoing(); tries++) {
      const item = await this.#load(pk);
      const shardItem = await this.#load(letter.item);
      const status = letterStatus(shardItem?.letters ?? NO_LETTERS, letter.number);
      if (status === 'unknown') return UNKNOWN_LETTER;
      const pending = item === undefined ? 'nothing' : await this.#settle(letter, item);
      if (pending === 'failed') return NOT_PUBLISHED;
      if (status === 'closed') return 'closed';
      if (item?.marks.has(mark) === true) return 'applied';
      if (pending === 'cleared') continue;

      const record = this.#recordOf(letter, key);
      const folded = this.#fold(letter, item, key, record, elements, tries === 0, mark, others);
      if ('outcome' in folded) {
        if (await this.#makesRoom(folded, item)) continue;
        return folded;
      }
      if (!(await this.#commit(folded, item))) continue;
      this.#places.set(hashOfKey(key), placeOf(record));
      return (await this.#settle(letter, folded)) === 'failed' ? NOT_PUBLISHED : 'applied';
    }
    return BUSY;
  }

  /** Gives the letter up. What an earlier redrive of it committed is committed, and brought to its end. */
  async #drop(letter: DeadLetter): Promise<Ending> {
    const closing = await this.#close(letter);
    if (typeof closing === 'object') return closing;
    const pks = this.#itemsOf(letter);
    // The write that closes another letter is the one that applies it.
    const hasShares = letter.key === undefined && this.#runtime.program.relay === undefined;
    if (hasShares && !(await this.#fence(pks))) return BUSY;
    return this.#finish(letter, pks, closing === 'closed' ? 'alreadyDone' : 'dropped');
  }

  /** Why a letter with shares must wait. One that begins later sees in all items what was done by now. */
  async #checkpointUnderWay(): Promise<Ending | undefined> {
    const { store, clock } = this.#runtime;
    return waitsForCheckpoint(await store.readControl(), clock.nowMs());
  }

  /** The items in which a redrive of the letter leaves something. */
  #itemsOf(letter: DeadLetter): string[] {
    const { program } = this.#runtime;
    if (letter.key !== undefined || program.relay !== undefined) return [letter.item];
    const { elements } = elementsOf(program, this.#recordOf(letter));
    return [...elements.keys()].map((key) => itemKey(letter.generation, key));
  }

  /**
   * Writes the items as they are: a redrive that read them before the letter was closed, and may be dead with its write
   * still on its way, applies nothing to them any more, when nobody is left to publish it.
   */
  async #fence(pks: readonly string[]): Promise<boolean> {
    for (const pk of pks) {
      let isWritten = false;
      for (let tries = 0; tries < REDRIVE_TRIES && !isWritten && this.#keepGoing(); tries++) {
        const item = await this.#load(pk);
        const written =
          item === undefined
            ? emptyItem(pk, this.#runtime.clock.nowMs())
            : rewritten(item, { outbox: item.outbox });
        isWritten = await this.#commit(written, item);
      }
      if (!isWritten) return false;
    }
    return true;
  }

  /** Publishes what is pending of redrives in these items, takes the mark of the closed letter out, and puts it away. */
  async #finish(letter: DeadLetter, pks: readonly string[], outcome: LetterOutcome): Promise<Ending> {
    const mark = letterMark(letter.item, letter.number);
    let mayClear = false;
    for (const pk of pks) {
      const item = await this.#load(pk);
      if (item === undefined) continue;
      if ((await this.#settle(letter, item)) === 'failed') return NOT_PUBLISHED;
      if (!item.marks.has(mark)) continue;
      const wait = mayClear ? undefined : await this.#checkpointUnderWay();
      if (wait !== undefined) {
        // A rewind in between is to find where the outputs stand.
        await this.#keepClosed(letter, outcome);
        return wait;
      }
      mayClear = true;
      if (!(await this.#clear(pk, new Set(), mark))) return BUSY;
    }
    return this.#putAway(letter, outcome);
  }

  /** Closes the letter in its item. `closed`: it was. */
  async #close({ item: pk, number }: DeadLetter): Promise<'done' | 'closed' | 'unknown' | Ending> {
    for (let tries = 0; tries < REDRIVE_TRIES && this.#keepGoing(); tries++) {
      const item = await this.#load(pk);
      const letters = item?.letters ?? NO_LETTERS;
      const status = letterStatus(letters, number);
      if (item === undefined || status === 'unknown') return 'unknown';
      if (status === 'closed') return 'closed';
      if (hasTooManyGaps(letters, number)) return TOO_MANY_GAPS;
      const written = rewritten(item, {
        outbox: item.outbox.filter((entry) => !isLetter(entry, number)),
        letters: closeLetter(letters, number),
      });
      if (await this.#commit(written, item)) return 'done';
    }
    return BUSY;
  }

  /** Why the letter cannot be redriven now. */
  #obstacle({ letters = NO_LETTERS }: StateItem, number: number): string | undefined {
    if (hasTooManyGaps(letters, number)) return TOO_MANY_GAPS.reason;
    const { parkedFrom } = letters;
    const isParked = parkedFrom !== undefined && number >= parkedFrom;
    if (!isParked && this.#request.isForced) return undefined;
    const first = firstOpenLetter(letters, isParked ? parkedFrom : 0);
    if (first === number) return undefined;
    return (
      `letter number ${first} of its key comes first. Where no such letter is listed, it is committed and is stored ` +
      'when its record is delivered again: wait for that'
    );
  }

  /**
   * Folds the record from the item, without any I/O: the item as it should be written, or why there is none.
   * @param isFirst whether the elements' values are as decoded: a fold whose write was refused may have changed them.
   * @param mark of a whole record's letter, to be left in the item. Without it, a record that is rejected changes nothing.
   * @param others of the record's elements, which the letter is not for.
   */
  #fold(
    letter: DeadLetter,
    item: StateItem | undefined,
    key: string,
    record: SourceRecord,
    elements: readonly Element[],
    isFirst: boolean,
    mark?: string,
    others: ReadonlySet<number> = new Set(),
  ): StateItem | Ending {
    const { program, clock } = this.#runtime;
    const { definition } = program;
    const scope: FoldScope = {
      program:
        mark === undefined ? { ...program, definition: { ...definition, onRecordError: 'stop' } } : program,
      shard: record.lane,
      records: [record],
      places: [record],
      front: 0,
      firsts: new Map(),
      published: new Set(),
      acknowledged: this.#acknowledged,
      elsewhere: new Map([[0, others]]),
      fresh: new FreshValues(program, [record]),
    };
    const pk = item?.pk ?? itemKey(this.#control.generation, key);
    const { item: folded, stop } = foldItem(scope, { pk, key, elements }, item, 0, isFirst, () => true);
    if (stop !== undefined) {
      return { outcome: stop.kind === 'policy' ? 'rejected' : 'unfinished', reason: stop.reason };
    }
    if (folded === undefined) throw new Error(`The redrive of a record for item '${pk}' folded nothing.`);
    const nowMs = clock.nowMs();
    // The record may be old. An item that is made anew begins at a time that no earlier one has reached; and an object
    // with spilled states that an earlier try has left, which a sweep may remove just now, has another name.
    const revision = Math.max(folded.revision, firstRevision(generationOf(folded.pk), nowMs));
    const marks = new Map(folded.marks);
    const own = marks.get(record.lane);
    marks.delete(record.lane);
    if (mark !== undefined && own !== undefined) marks.set(mark, own);
    const origin = { lane: letter.lane, position: positionOf(letter) };
    const outbox = folded.outbox.map((entry): OutboxEntry => {
      if (entry.lane !== record.lane) return entry;
      if (entry.kind === 'deadLetter') return { ...entry, origin };
      // Who marks what it has seen by arrival must not forget it at once.
      return { ...entry, origin, revision, arrivalMs: nowMs };
    });
    return { ...folded, revision, marks, outbox };
  }

  /** Whether the item is full of what is published already, which may go: perhaps no record will ever come for it. */
  async #makesRoom({ outcome }: Ending, item: StateItem | undefined): Promise<boolean> {
    if (outcome !== 'unfinished') return false;
    return readAcknowledged(this.#runtime, this.#control.generation, item, this.#acknowledged);
  }

  /**
   * Publishes what redrives have committed in the item, stores the letters of this record that are among it, and takes
   * out what is done. A crash in between costs a repeat under the same ids.
   */
  async #settle(letter: DeadLetter, item: StateItem): Promise<'nothing' | 'cleared' | 'failed'> {
    const { program, deadLetters } = this.#runtime;
    const { name: pipeline } = program.definition;
    const deliveries: Deliveries = new Map();
    const done = new Set<string>();
    const key = keyOfItem(item.pk);
    for (const entry of item.outbox) {
      if (!isRedriveLane(entry.lane)) continue;
      if (entry.kind === 'output') {
        addDelivery(deliveries, pipeline, item, entry, this.#control);
        if (key !== undefined && isOfRecord(entry, letter)) this.#places.set(hashOfKey(key), placeOf(entry));
      } else {
        if (!isOfRecord(entry, letter)) continue;
        const { generation, stream } = letter;
        const where = { pipeline, generation, stream, item: item.pk, key };
        await deadLetters.put(
          deadLetterName(generation, key, entry),
          letterOf(entry, this.#recordOf(letter), where),
        );
      }
      done.add(entryId(entry));
    }
    if (done.size === 0) return 'nothing';
    const { firstFailed } = await deliver(this.#runtime, deliveries, new Map(), this.#keepGoing);
    if (firstFailed !== undefined) return 'failed';
    const isClosed =
      letter.item === item.pk && letterStatus(item.letters ?? NO_LETTERS, letter.number) === 'closed';
    // Once the outbox is cleared, nothing else tells where the outputs stand.
    if (isClosed && this.#places.size > 0) await this.#keep(letter);
    return (await this.#clear(item.pk, done)) ? 'cleared' : 'failed';
  }

  /** Takes entries out of an item's outbox, and a mark. @returns whether they are known to be out. */
  async #clear(pk: string, done: ReadonlySet<string>, mark?: string): Promise<boolean> {
    for (let tries = 0; tries < REDRIVE_TRIES && this.#keepGoing(); tries++) {
      const item = await this.#load(pk);
      if (item === undefined) return true;
      const outbox = item.outbox.filter((entry) => !done.has(entryId(entry)));
      const hasMark = mark !== undefined && item.marks.has(mark);
      if (outbox.length === item.outbox.length && !hasMark) return true;
      const marks = hasMark ? withoutLetterMark(item.marks, mark) : item.marks;
      if (await this.#commit(rewritten(item, { outbox, marks }), item)) return true;
    }
    return false;
  }

  /** A letter that is closed goes to the closed ones, before it leaves the open ones. */
  async #putAway(letter: DeadLetter, outcome: LetterOutcome): Promise<Ending> {
    await this.#keepClosed(letter, outcome);
    return this.#takeOut(outcome);
  }

  /** Which of a redrive and a drop once closed it, its item does not say: what was asked for now is what is wanted. */
  async #keepClosed(letter: DeadLetter, outcome: LetterOutcome): Promise<void> {
    if (this.#isKept) return;
    if (outcome === 'redriven' && letter.key !== undefined) {
      for (const [key, place] of this.#tried) this.#places.set(key, place);
    } else if (outcome === 'alreadyDone') {
      // What closed it may have kept it too, and died before it took the letter out.
      const kept = await this.#runtime.closedLetters.get(this.#name);
      for (const [key, place] of Object.entries(kept?.closed?.places ?? {})) {
        if (!this.#places.has(key)) this.#places.set(key, place);
      }
    }
    await this.#keep(letter);
  }

  async #keep(letter: DeadLetter): Promise<void> {
    const closed = {
      outcome: this.#request.action === 'drop' ? ('dropped' as const) : ('redriven' as const),
      atMs: this.#runtime.clock.nowMs(),
      ...(this.#places.size > 0 && { places: Object.fromEntries(this.#places) }),
    };
    await this.#runtime.closedLetters.put(this.#name, { ...letter, closed });
    this.#isKept = true;
  }

  async #takeOut(outcome: LetterOutcome): Promise<Ending> {
    await this.#runtime.deadLetters.remove(this.#name);
    return { outcome };
  }

  async #load(pk: string): Promise<StateItem | undefined> {
    const item = (await this.#runtime.store.load([pk])).get(pk);
    return item && bringForward(this.#runtime.program, item);
  }

  async #commit(item: StateItem, loaded: StateItem | undefined): Promise<boolean> {
    const write = {
      item: stamped(this.#runtime, item),
      expectedRevision: loaded?.revision,
      loaded,
      spills: documentsBytes(item.states.values()) > this.#runtime.program.limits.inlineStateBytes,
    };
    const [result] = await this.#runtime.store.commit([write]);
    return result === 'committed';
  }

  /** @param key for which it is folded: its outputs stand where those of an earlier redrive did. */
  #recordOf({ partitionKey, data, arrivalMs }: DeadLetter, key?: string): SourceRecord {
    const hash = key === undefined ? '' : hashOfKey(key);
    const given = this.#given[hash];
    const place =
      given === undefined
        ? this.#lane.next()
        : { lane: given.lane, position: { sequence: String(given.place), sub: 0 } };
    if (key !== undefined) this.#tried.set(hash, placeOf(place));
    if (key !== undefined && given === undefined) this.hasNewPlaces = true;
    return { ...place, partitionKey, data, arrivalMs };
  }
}

/** Reads of one item in one invocation, for writes that lose against others. */
export const REDRIVE_TRIES = 8;
