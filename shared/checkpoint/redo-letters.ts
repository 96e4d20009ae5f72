import { redoLetters, type LetterRedo, type RedoResult } from '../engine/redrive.ts';
import { isOfOneElement } from '../engine/rejected-records.ts';
import type { Runtime } from '../engine/runtime.ts';
import { deadLetterNamesOf, readDeadLetterName, type NamedLetter } from '../output/dead-letter-name.ts';
import type { DeadLetterStore } from '../output/dead-letter-store.ts';
import { hashOfKey } from '../output/output-id.ts';
import type { Delivery, SinkPort } from '../output/sink-port.ts';
import { shardOfLane } from '../source/lane.ts';
import { encodePosition } from '../source/position.ts';
import { inParallel } from '../state/in-parallel.ts';
import { keyOfItem } from '../state/row-key.ts';
import type { Rewinder } from './rewind.ts';

/** Letters that are read side by side. */
const LETTERS_IN_FLIGHT = 16;
/** Of milliseconds since the epoch, as text. */
const TIME_DIGITS = 16;
/** What one call has done. */
export interface RedoReport {
  /** Closed as they were closed before the rewind: by this call, or by an earlier one that had not told. */
  readonly redriven: number;
  readonly dropped: number;
  /** Of those redriven: not known where the first redrive's outputs stand, so that the next pipeline counts them again. */
  readonly countedAgain: number;
  /** Today's code rejects them, or no longer makes anything of them: they stay open. */
  readonly rejected: number;
  /** An earlier letter of the key comes first, or something failed: another round may do them. */
  readonly left: number;
  /** Where the next call goes on; absent at the end. */
  readonly after?: string;
}

export interface RedoRequest {
  /** Version of the control row. */
  readonly version: number;
  /** Where the call before ended. */
  readonly after?: string;
  /** Tells this invocation from every other. */
  readonly session: string;
  /** When Lambda ends the process, milliseconds since the epoch. */
  readonly deadlineMs: number;
}

/** A letter of the new generation, and how its like in the generation that was left was closed. */
interface Match extends LetterRedo {
  readonly wasRedriven: boolean;
  /** When it was closed, and its name: the order in which they are redone. */
  readonly order: string;
  /** The hash of its key, and where its record stood. */
  readonly origin: string;
}

const NOTHING = { redriven: 0, dropped: 0, countedAgain: 0, rejected: 0, left: 0 };

/**
 * Redrives and drops in the new generation what was redriven and dropped in the one that was left, behind the
 * checkpoint: that is not in the stream. In the order in which it was done, so that one key's letters keep theirs. Such
 * letters are open again: the restore has copied them, or the replay has rejected their records anew. Where mended code
 * applied a record there is none, and nothing to do; what was closed before the checkpoint is closed in its items.
 *
 * Nothing is kept of how far it is but that letters which are closed are gone: it may die anywhere, and two at once are
 * two that redrive the same letter (I1).
 *
 * - Outputs stand in the lanes and places of the first redrive, so that the next pipeline, which keeps its marks by them,
 *   counts them once. With outputs `again` they stand in a lineage and lanes of their own; with `suppress` those that
 *   the first redrive has published are not published.
 * - What the front of a repartition has rejected is only closed: what a redrive made of it stands in the internal stream
 *   and is replayed from there, or is in the checkpoint's state.
 * - Where nothing is replayed, the letters have gone back with the state, and it is a person who decides on them.
 */
export async function redoClosedLetters(
  { runtime }: Pick<Rewinder, 'runtime'>,
  { version, after = '', session, deadlineMs }: RedoRequest,
): Promise<RedoReport | { readonly kind: 'superseded' }> {
  const control = await runtime.store.readControl();
  const { rewind, phase } = control;
  if (control.version !== version || rewind?.step !== 'release' || phase !== 'live') {
    return { kind: 'superseded' };
  }
  if (rewind.skipsReplay === true) return NOTHING;
  const { from, to, outputs } = rewind;
  const all = await findMatches(runtime, from, to);
  const published = new Set(all.filter(({ wasRedriven }) => wasRedriven).map(({ origin }) => origin));
  const own =
    outputs === 'suppress' ? { ...runtime, sinks: withoutRepeats(runtime.sinks, published) } : runtime;
  const matches = all.filter(({ order }) => order > after);
  const letters = matches.map(({ name, action, places }): LetterRedo => ({
    name,
    action,
    ...(outputs !== 'again' && places !== undefined && { places }),
  }));
  const hasChain = [...runtime.program.sinks.values()].some(({ kind }) => kind === 'kinesis');
  const report = { ...NOTHING };
  let done = after;
  for (const [at, result] of (await redoLetters(own, letters, session, deadlineMs)).entries()) {
    if (result.outcome === 'notBegun') return { ...report, after: done };
    const { wasRedriven, order } = matches[at] as Match;
    done = order;
    report[countOf(result, wasRedriven)] += 1;
    const isNew = result.outcome === 'redriven' && result.hasNewPlaces && outputs !== 'again';
    if (isNew && hasChain) report.countedAgain += 1;
  }
  return report;
}

function countOf(
  { outcome }: RedoResult,
  wasRedriven: boolean,
): 'redriven' | 'dropped' | 'rejected' | 'left' {
  switch (outcome) {
    case 'redriven':
    case 'dropped':
    case 'alreadyDone':
    case 'missing':
      // Where it is missing somebody else was faster.
      return wasRedriven ? 'redriven' : 'dropped';
    case 'rejected':
    case 'stale':
      return 'rejected';
    default:
      return 'left';
  }
}

/** In the order in which they were closed. */
async function findMatches(runtime: Runtime, from: number, to: number): Promise<Match[]> {
  const open = lettersByOwner(runtime.deadLetters, to);
  const closed = lettersByOwner(runtime.closedLetters, from);
  const pairs: Pair[] = [];
  let own = await open.next();
  for await (const { owner, letters } of closed) {
    while (own.done !== true && own.value.owner < owner) own = await open.next();
    if (own.done === true) break;
    if (own.value.owner !== owner) continue;
    pairs.push(...paired(own.value.letters, letters));
  }
  const matches = await inParallel(pairs, LETTERS_IN_FLIGHT, async (pair): Promise<Match | undefined> => {
    const letter = await runtime.closedLetters.get(pair.closed);
    if (letter?.closed === undefined) return undefined;
    const { outcome, atMs, places } = letter.closed;
    const isRelayed = runtime.runtimeFor?.(letter.stream).program.relay !== undefined;
    return {
      name: pair.name,
      action: outcome === 'redriven' && !isRelayed ? 'redrive' : 'drop',
      wasRedriven: outcome === 'redriven',
      ...(places !== undefined && { places }),
      order: `${String(atMs).padStart(TIME_DIGITS, '0')}/${pair.name}`,
      origin: `${pair.named.keyHash ?? ''} ${originOf(pair.named)}`,
    };
  });
  return matches.filter((match) => match !== undefined).sort((a, b) => (a.order < b.order ? -1 : 1));
}

interface Pair {
  readonly name: string;
  /** The name of its like. */
  readonly closed: string;
  readonly named: NamedLetter;
}

interface Letter {
  readonly name: string;
  readonly named: NamedLetter;
}

interface OwnedLetters {
  /** Their beginning of names: one key's, or all that have none. */
  readonly owner: string;
  readonly letters: readonly Letter[];
}

/** Each letter with its like: one of the same element, and else one of the same record. */
function paired(open: readonly Letter[], closed: readonly Letter[]): Pair[] {
  const pairs: Pair[] = [];
  let [left, likes] = [open, closed];
  for (const identityOf of [elementOf, recordOf]) {
    const byIdentity = new Map(likes.map(({ name, named }) => [identityOf(named), name]));
    const taken = new Set<string>();
    left = left.filter(({ name, named }) => {
      const like = byIdentity.get(identityOf(named));
      if (like === undefined || taken.has(like)) return true;
      taken.add(like);
      pairs.push({ name, closed: like, named });
      return false;
    });
    likes = likes.filter(({ name }) => !taken.has(name));
  }
  return pairs;
}

/** A generation's letters, those of one key together, in the order of their names. */
async function* lettersByOwner(store: DeadLetterStore, generation: number): AsyncGenerator<OwnedLetters> {
  let owner = '';
  let letters: { readonly name: string; readonly named: NamedLetter }[] = [];
  for await (const page of store.list(deadLetterNamesOf(generation))) {
    for (const { name } of page) {
      const named = readDeadLetterName(name);
      if (named === undefined) continue;
      const next = `${named.keyHash ?? 'no-key'}/`;
      if (next !== owner && letters.length > 0) yield { owner, letters };
      if (next !== owner) letters = [];
      owner = next;
      letters.push({ name, named });
    }
  }
  if (letters.length > 0) yield { owner, letters };
}

/**
 * By what a letter is the same in another generation, where it may have another number and another reason. Of those without
 * a key one may stand for the whole record, and others for its elements.
 */
function elementOf({ keyHash, element, stage, ...place }: NamedLetter): string {
  return `${originOf(place)} ${element} ${keyHash === undefined && isOfOneElement(stage)}`;
}

/**
 * A key has one letter of a record for all its elements, of which another may be the first by now; it has a second one
 * where it rejected what was redriven without a key.
 */
function recordOf(named: NamedLetter): string {
  return named.keyHash === undefined ? elementOf(named) : originOf(named);
}

function originOf({ shard, position }: Pick<NamedLetter, 'shard' | 'position'>): string {
  return `${shard} ${encodePosition(position)}`;
}

/** Sinks that take what was published before the rewind, and do not publish it again. */
function withoutRepeats(
  sinks: Runtime['sinks'],
  published: ReadonlySet<string>,
): ReadonlyMap<string, SinkPort> {
  const isRepeat = ({ pk, entry: { origin } }: Delivery): boolean => {
    if (origin === undefined) return false;
    const place = originOf({ shard: shardOfLane(origin.lane), position: origin.position });
    return published.has(` ${place}`) || published.has(`${hashOfKey(keyOfItem(pk) ?? '')} ${place}`);
  };
  return new Map(
    [...sinks].map(([name, sink]) => [
      name,
      {
        maximumDeliveries: sink.maximumDeliveries,
        maximumBytes: sink.maximumBytes,
        deliver: async (deliveries) => {
          const isNew = deliveries.map((delivery) => !isRepeat(delivery));
          const own = deliveries.filter((_, place) => isNew[place]);
          const results = own.length === 0 ? [] : [...(await sink.deliver(own))];
          return isNew.map((each) => !each || results.shift() === true);
        },
      },
    ]),
  );
}

/** How often letters are tried that something keeps from being done, with pauses that double. */
const LEFT_TRIES = 6;
const FIRST_PAUSE_MS = 500;

/**
 * Redoes letters call by call until none is left that can be: `DriveOptions.whenLive` of a rewind. One that waits for
 * an earlier one of its key may be done in another round.
 * @returns the sum; `left` and `rejected` as the last round found them: they stay open, for a person to decide on.
 */
export async function redoAll(
  redo: (after: string | undefined) => Promise<RedoReport | { readonly kind: 'superseded' }>,
  wait: (ms: number) => Promise<void>,
): Promise<Omit<RedoReport, 'after'>> {
  const sum = { ...NOTHING };
  for (let tries = 0; ;) {
    const round = { ...NOTHING };
    for (let after: string | undefined; ;) {
      const report = await redo(after);
      if ('kind' in report) return sum;
      for (const name of COUNTS) round[name] += report[name];
      after = report.after;
      if (after === undefined) break;
    }
    sum.redriven += round.redriven;
    sum.dropped += round.dropped;
    sum.countedAgain += round.countedAgain;
    sum.rejected = round.rejected;
    sum.left = round.left;
    tries = round.redriven + round.dropped > 0 ? 0 : tries + 1;
    if (round.left === 0 || tries === LEFT_TRIES) return sum;
    if (tries > 0) await wait(FIRST_PAUSE_MS * 2 ** tries);
  }
}

const COUNTS = ['redriven', 'dropped', 'countedAgain', 'rejected', 'left'] as const;
