import type { DeadLetter, RedrivePlace, RedrivePlaces } from '../output/dead-letter-store.ts';
import { deadLetterName, readDeadLetterName } from '../output/dead-letter-name.ts';
import { hashOfKey } from '../output/output-id.ts';
import type { Delivery } from '../output/sink-port.ts';
import { ConfigurationError } from '../pipeline/configuration-error.ts';
import type { KinesisSink } from '../pipeline/definition.ts';
import { comparePositions, encodePosition, type Position } from '../source/position.ts';
import { isAggregate } from '../source/aggregate.ts';
import type { Rejection } from '../source/record-error.ts';
import type { SourceRecord } from '../source/record.ts';
import { inParallel } from '../state/in-parallel.ts';
import {
  CLOSED_RANGES_LIMIT,
  closeLetter,
  firstOpenLetter,
  letterStatus,
  NO_LETTERS,
  type Letters,
} from '../state/letters.ts';
import { firstRevision } from '../state/revision.ts';
import { generationOf, itemKey, keyOfItem } from '../state/row-key.ts';
import type { OutboxEntry, StateItem } from '../state/state-item.ts';
import { documentsBytes } from '../state/canonical-document.ts';
import type { Control } from '../state/state-store.ts';
import { bringForward } from './bring-forward.ts';
import { readAcknowledged, stamped } from './commit.ts';
import { forEachElement, type Element } from './elements.ts';
import { foldItem, type FoldScope } from './fold.ts';
import { FreshValues } from './fresh-values.ts';
import { DEADLINE_MARGIN_MS, INLINE_STATE_LIMIT_BYTES } from './limits.ts';
import { entryBytes } from './outbox-draft.ts';
import type { Program } from './program.ts';
import { addDelivery, deliver, letterOf, type Deliveries } from './publish-committed.ts';
import { isRedriveLane, letterMark, RedriveLane, withoutLetterMark } from './redrive-lane.ts';
import { isOfOneElement } from './rejected-records.ts';
import { relayed } from './relay.ts';
import type { RedriveRuntime } from './runtime.ts';

export interface LettersRequest {
  /** `redrive`: apply the record to its key with today's code. `drop`: give it up. */
  readonly action: 'redrive' | 'drop';
  /** Names of letters; those of one key are taken in the order in which they stand here. */
  readonly names: readonly string[];
  /** Redrive also behind earlier letters of the key that are open. What is parked keeps its order all the same. */
  readonly isForced: boolean;
  /** Tells this invocation from every other: a part of the lanes of outputs. */
  readonly session: string;
}

/**
 * - `redriven`, `dropped`: done now. `alreadyDone`: its item says that it was done before; what was left is cleared up.
 * - `missing`: there is no such letter (any more).
 * - `rejected`: today's code rejects the record too; nothing of it is committed, the letter stays.
 * - `waiting`: an earlier letter of its key comes first, or a checkpoint that is being taken.
 * - `stale`: it belongs to an earlier generation, or no item says that it is a dead letter.
 * - `unfinished`: begun, and not known to be through; doing it again is safe.
 * - `notBegun`: there was no time.
 */
export type LetterOutcome =
  | 'redriven'
  | 'dropped'
  | 'alreadyDone'
  | 'missing'
  | 'rejected'
  | 'waiting'
  | 'stale'
  | 'unfinished'
  | 'notBegun';

export interface LetterResult {
  readonly name: string;
  readonly outcome: LetterOutcome;
  /** In words, without anything of the record. */
  readonly reason?: string;
}

/** Letters that are taken at a time, never two of one key. */
const WORKERS = 4;

/**
 * Redrives or drops dead letters, each at most once, those of one key in order.
 *
 * The item that committed a letter says whether it is open. The write that applies its record closes it, so that no
 * crash, no second redrive and no late duplicate applies it again, whenever they come; two at once are told apart by the
 * item's revision. Then its outputs are published and taken out of the outbox, and the letter itself is removed last:
 * where the process dies, it is still there, and redriving it again brings to an end what was begun.
 *
 * @param deadlineMs when Lambda ends the process, milliseconds since the epoch.
 * @returns a result per name, in their order.
 * @throws ConfigurationError for what concerns every record; what was done by then stays done.
 */
export async function processLetters(
  runtime: RedriveRuntime,
  request: LettersRequest,
  deadlineMs: number,
): Promise<LetterResult[]> {
  const control = await runtime.store.readControl();
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;
  const results = new Map<string, LetterResult>();
  const queue = groupsOf(request.names).values();
  await inParallel(
    Array.from({ length: WORKERS }, (_, worker) => worker),
    WORKERS,
    async (worker) => {
      const lane = new RedriveLane(request.session, worker);
      for (let group = queue.next(); !group.done; group = queue.next()) {
        let blockedBy: LetterResult | undefined;
        for (const name of group.value.names) {
          const result =
            blockedBy === undefined
              ? await new LetterWork(runtime, request, control, lane, keepGoing, name).run()
              : waitsBehind(name, blockedBy);
          results.set(name, result);
          const isOver = OVER.has(result.outcome);
          if (!isOver) lane.renew();
          if (!isOver && group.value.isOfKey && !request.isForced) blockedBy ??= result;
        }
      }
    },
  );
  return request.names.map((name) => results.get(name) as LetterResult);
}

/** A letter that a rewind has opened again, and that is to be closed as it was closed before. */
export interface LetterRedo {
  readonly name: string;
  readonly action: LettersRequest['action'];
  /** Where the outputs of the first redrive stand, which those of this one are to repeat; new places where not given. */
  readonly places?: RedrivePlaces;
}

export interface RedoResult extends LetterResult {
  /** Whether some of its outputs stand where none of the first redrive do. */
  readonly hasNewPlaces: boolean;
}

/** What has begun and is not known to be through: what would come behind it waits. */
const STUCK: ReadonlySet<LetterOutcome> = new Set(['unfinished', 'notBegun']);

/**
 * Redrives and drops letters one after the other, in their order. A lane that was used before is gone through in the
 * order of its places, as long as the letters come in the order in which they were closed: where one is stuck, those
 * behind it that share its key or its lane wait. Doing it again, from any letter on, is safe.
 * @param session see `LettersRequest`.
 * @param deadlineMs when Lambda ends the process, milliseconds since the epoch.
 * @throws ConfigurationError for what concerns every record; what was done by then stays done.
 */
export async function redoLetters(
  runtime: RedriveRuntime,
  letters: readonly LetterRedo[],
  session: string,
  deadlineMs: number,
): Promise<RedoResult[]> {
  const control = await runtime.store.readControl();
  const keepGoing = (): boolean => runtime.clock.nowMs() < deadlineMs - DEADLINE_MARGIN_MS;
  const lane = new RedriveLane(session, 0);
  const results: RedoResult[] = [];
  const stuck = new Map<string, LetterResult>();
  for (const { name, action, places } of letters) {
    const key = readDeadLetterName(name)?.keyHash;
    const shared = [...(key === undefined ? [] : [`key ${key}`])];
    for (const place of Object.values(places ?? {})) shared.push(place.lane);
    const earlier = shared.map((each) => stuck.get(each)).find((each) => each !== undefined);
    // What was redriven once was not refused for the letters before it.
    const request = { action, names: [name], isForced: true, session };
    const work = new LetterWork(runtime, request, control, lane, keepGoing, name, places);
    const result = earlier === undefined ? await work.run() : waitsBehind(name, earlier);
    results.push({ ...result, hasNewPlaces: work.hasNewPlaces });
    if (!OVER.has(result.outcome)) lane.renew();
    if (!STUCK.has((earlier ?? result).outcome)) continue;
    for (const each of shared) stuck.set(each, earlier ?? result);
  }
  return results;
}

const OVER: ReadonlySet<LetterOutcome> = new Set(['redriven', 'dropped', 'alreadyDone', 'missing', 'stale']);

interface Group {
  readonly isOfKey: boolean;
  readonly names: string[];
}

/** Letters of one key, or of one shard where they have none: what is to be taken one after the other. */
function groupsOf(names: readonly string[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const name of new Set(names)) {
    const { keyHash, shard } = readDeadLetterName(name) ?? {};
    const owner = keyHash ?? `shard ${shard ?? ''}`;
    const group = groups.get(owner);
    if (group === undefined) groups.set(owner, { isOfKey: keyHash !== undefined, names: [name] });
    else group.names.push(name);
  }
  return groups;
}

function waitsBehind(name: string, { name: earlier, outcome }: LetterResult): LetterResult {
  return outcome === 'notBegun'
    ? { name, outcome }
    : { name, outcome: 'waiting', reason: `the letter ${earlier} of its key comes first` };
}

type Ending = Omit<LetterResult, 'name'>;

/** One letter's way. */
class LetterWork {
  /** Of the half that rejected the record, once that is known. */
  #runtime: RedriveRuntime;
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
    runtime: RedriveRuntime,
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
    const { deadLetters, closedLetters, runtimeFor } = this.#runtime;
    const half = runtimeFor?.(letter.stream);
    if (half !== undefined) this.#runtime = { ...half, deadLetters, closedLetters };
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
      const own = elements.get(key);
      if (own === undefined) return rejections[0] === undefined ? NO_ELEMENT : rejectedAgain(rejections[0]);
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
    const isOwn = ({ number }: { readonly number: number }): boolean => !isOne || number === letter.element;
    const own = new Map<string, readonly Element[]>();
    for (const [key, all] of elements) if (all.some(isOwn)) own.set(key, all.filter(isOwn));
    const rejection = rejections.find(isOwn);
    if (rejection !== undefined || (isOne && own.size === 0)) {
      const { letters = NO_LETTERS } = (await this.#load(letter.item)) ?? {};
      if (letterStatus(letters, letter.number) === 'closed') return this.#putAway(letter, 'alreadyDone');
      return rejection === undefined ? NO_ELEMENT : rejectedAgain(rejection);
    }
    const pks = [...own.keys()].map((key) => itemKey(letter.generation, key));
    let wasClosed = false;
    for (const [key, some] of own) {
      const ending = await this.#redriveShare(letter, key, some);
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
      const deliveries = deliveriesOf(
        program,
        relay,
        record,
        isOfOneElement(letter.stage) ? letter.element : undefined,
      );
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
      const folded = this.#fold(letter, item, key, record, elements, tries === 0, mark);
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
        const written = item === undefined ? this.#emptyItem(pk) : rewritten(item, { outbox: item.outbox });
        isWritten = await this.#commit(written, item);
      }
      if (!isWritten) return false;
    }
    return true;
  }

  #emptyItem(pk: string): StateItem {
    const revision = firstRevision(generationOf(pk), this.#runtime.clock.nowMs());
    return { pk, revision, marks: new Map(), states: new Map(), versions: new Map(), outbox: [] };
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
   */
  #fold(
    letter: DeadLetter,
    item: StateItem | undefined,
    key: string,
    record: SourceRecord,
    elements: readonly Element[],
    isFirst: boolean,
    mark?: string,
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
const REDRIVE_TRIES = 8;

const UNKNOWN_LETTER: Ending = {
  outcome: 'stale',
  reason: 'no item of this generation says that its record is a dead letter; drop it',
};
const NO_ELEMENT: Ending = {
  outcome: 'rejected',
  reason: "today's code makes nothing of its record for the key that rejected it; drop it",
};
const NOT_PUBLISHED: Ending = {
  outcome: 'unfinished',
  reason: 'it is applied, and not all of its outputs are published; redrive it again',
};
const BUSY: Ending = {
  outcome: 'unfinished',
  reason: 'its item could not be written: others write it too, or time ran out; redrive it again',
};
const TOO_MANY_GAPS = {
  outcome: 'waiting',
  reason: `letters were passed over in ${CLOSED_RANGES_LIMIT} places, the limit; redrive or drop the earliest first`,
} as const satisfies Ending;

/** What must not be done to several items while a scan may be between them. */
function waitsForCheckpoint({ checkpoint }: Control, nowMs: number): Ending | undefined {
  if (checkpoint === undefined || nowMs >= checkpoint.overMs) return undefined;
  return {
    outcome: 'waiting',
    reason:
      `checkpoint ${checkpoint.id} is being taken: try again once it is there. One that nobody goes on with holds this ` +
      `up until ${new Date(checkpoint.overMs).toISOString()}; 'checkpoint take' goes on with it`,
  };
}

const TOO_LARGE: Ending = {
  outcome: 'rejected',
  reason:
    `what its record becomes for the repartition takes more than the ${INLINE_STATE_LIMIT_BYTES} bytes that an item can ` +
    'hold for it; let the producer send it again, and drop it',
};

function hasTooManyGaps(letters: Letters, number: number): boolean {
  return closeLetter(letters, number).closed.length > CLOSED_RANGES_LIMIT;
}

function rejectedAgain({ stage, reason, summary }: Rejection): Ending {
  return { outcome: 'rejected', reason: `${stage}: ${summary ?? reason}` };
}

const BROKEN_AGGREGATE: Rejection = {
  stage: 'decode',
  reason:
    'it is an aggregate of the Kinesis Producer Library that is not whole; let the producer send its records again, ' +
    'and drop it',
};

/** What the record becomes by today's code. */
function elementsOf(
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

/** What a relay makes of the record, or of the one element that is meant; or why it cannot. */
function deliveriesOf(
  program: Program,
  relay: KinesisSink,
  record: SourceRecord,
  only: number | undefined,
): readonly Delivery[] | Rejection {
  const deliveries: Delivery[] = [];
  const { elements, rejections } = elementsOf(program, record);
  const isMeant = ({ number }: { readonly number: number }): boolean => (only ?? number) === number;
  let rejection: Rejection | undefined = rejections.find(isMeant);
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
function rewritten(
  { expiresAtSeconds: _, ...item }: StateItem,
  changes: Pick<StateItem, 'outbox'> & Partial<Pick<StateItem, 'marks' | 'letters'>>,
): StateItem {
  return { ...item, ...changes, revision: item.revision + 1 };
}

function placeOf({ lane, position }: { readonly lane: string; readonly position: Position }): RedrivePlace {
  return { lane, place: Number(position.sequence) };
}

function positionOf({ sequenceNumber, subSequenceNumber }: DeadLetter): Position {
  return { sequence: sequenceNumber, sub: subSequenceNumber };
}

function isLetter(entry: OutboxEntry, number: number): boolean {
  return entry.kind === 'deadLetter' && entry.number === number;
}

function isOfRecord({ origin }: OutboxEntry, letter: DeadLetter): boolean {
  return origin?.lane === letter.lane && comparePositions(origin.position, positionOf(letter)) === 0;
}

/** Tells apart the entries of one item. */
function entryId(entry: OutboxEntry): string {
  const { lane, position, element } = entry;
  const own = entry.kind === 'output' ? `${entry.sink} ${entry.index}` : String(entry.number);
  return `${entry.kind} ${lane} ${encodePosition(position)} ${element} ${own}`;
}
