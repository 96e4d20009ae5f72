import { LOADED_STATES_LIMIT_BYTES } from '../engine/limits.ts';
import { inParallel } from '../state/in-parallel.ts';
import type { StateItem } from '../state/state-item.ts';
import { ByteRoom } from './byte-room.ts';
import { CheckpointError } from './checkpoint-error.ts';
import { checkpointLine } from './checkpoint-line.ts';
import { hashesName, keptName, partName } from './checkpoint-store.ts';
import { NO_WORK, type CheckpointWork, type SegmentWork } from './checkpoint-work.ts';
import { linesOf, readPool } from './delta-base.ts';
import { KeptLines, readKeptLines } from './kept-lines.ts';
import { hashOfLine, LineDigest } from './line-digest.ts';
import type { LinePool } from './line-pool.ts';
import type { ManifestObject } from './manifest.ts';
import { PART_BYTES, PartPacker, sha256 as sha256Of } from './part-form.ts';
import type { CheckpointTaker } from './take-checkpoint.ts';

export interface HeldWork {
  readonly work: CheckpointWork;
  readonly version: string;
  /** Who does it: a part of the names of the parts. */
  readonly holder: string;
}

export interface ScanEnd {
  /** `overtaken`: somebody else has written the work. */
  readonly kind: 'complete' | 'unfinished' | 'overtaken';
  readonly work: CheckpointWork;
  /** Of a delta: the lines of its base's parts that were found again. */
  readonly kept?: KeptLines;
}

class Overtaken extends Error {}

/**
 * So many times the lines of a part are found again before it is noted how far a segment is: an invocation that dies
 * loses no more, where little has changed and parts are filled slowly.
 */
const KEPT_TO_STORED = 16;

/** What a segment has found again since it was noted how far it is. */
interface Found {
  items: number;
  bytes: number;
  readonly digest: LineDigest;
}

function nothingFound(): Found {
  return { items: 0, bytes: 0, digest: new LineDigest() };
}

/**
 * Reads all segments that are not done, side by side, and stores their items in parts; of a delta those only that make a
 * line which is in none of its base's parts. What memory holds is a page and a part of each segment and some spilled
 * states, whatever the size of the table: no page is read before the items of the one before are packed, and nothing is
 * packed while a part is being stored. A delta holds its base's pool of lines, too.
 * @param stopMs when nothing is read any more and what is packed is stored, milliseconds since the epoch.
 * @throws when a request fails: every segment has ended then.
 */
export async function scanSegments(taker: CheckpointTaker, held: HeldWork, stopMs: number): Promise<ScanEnd> {
  return new Scan(taker, held, stopMs).run();
}

class Scan {
  readonly #taker: CheckpointTaker;
  readonly #holder: string;
  readonly #stopMs: number;
  readonly #room = new ByteRoom(LOADED_STATES_LIMIT_BYTES / 2);
  readonly #startMs: number;
  readonly #startRcu: number;
  #work: CheckpointWork;
  #version: string;
  #pool: LinePool | undefined;
  /** By segment; none of a full checkpoint. */
  #kept: readonly KeptLines[] = [];
  #keptNotes = 0;
  /** Notes are written one behind the other: each goes on from the version of the one before. */
  #noting: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(taker: CheckpointTaker, { work, version, holder }: HeldWork, stopMs: number) {
    this.#taker = taker;
    this.#work = work;
    this.#version = version;
    this.#holder = holder;
    this.#stopMs = stopMs;
    this.#startMs = taker.clock.nowMs();
    this.#startRcu = taker.generations.costs().rcu;
  }

  async run(): Promise<ScanEnd> {
    try {
      await this.#readBase();
    } catch (error) {
      if (error instanceof Overtaken) return { kind: 'overtaken', work: this.#work };
      // Who slept until others had finished its work, and removed what came of it, misses what it had noted.
      const now = await this.#taker.checkpoints.getWork(this.#work.id);
      if (now?.version !== this.#version) return { kind: 'overtaken', work: this.#work };
      throw error;
    }
    const end = await this.#run();
    const { base, isBaseGivenUp } = this.#work;
    if (base === undefined || isBaseGivenUp === true || end.kind !== 'complete') return end;
    const kept = new KeptLines(linesOf(base));
    for (const each of this.#kept) kept.merge(each);
    return { ...end, kept };
  }

  async #readBase(): Promise<void> {
    const { checkpoints } = this.#taker;
    const { id, base, isBaseGivenUp, segments } = this.#work;
    if (base === undefined || isBaseGivenUp === true) return;
    try {
      this.#kept = await Promise.all(
        segments.map(({ kept }) =>
          readKeptLines(checkpoints, id, kept === undefined ? [] : [kept], linesOf(base)),
        ),
      );
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      return this.#giveUpBase(error);
    }
    if (segments.some(({ isDone }) => !isDone)) this.#pool = await readPool(checkpoints, base);
  }

  /**
   * Goes on as a full one: what has found lines again is scanned anew, and what has only stored some stays. So no object
   * is left whose damage could stop it once more. Noted first: who does not hold it any more mends nothing.
   */
  async #giveUpBase(error: CheckpointError): Promise<void> {
    const { checkpoints, log } = this.#taker;
    const { id, segments } = this.#work;
    const work: CheckpointWork = {
      ...this.#work,
      isBaseGivenUp: true,
      segments: segments.map((each) => (each.kept === undefined ? each : NO_WORK)),
    };
    const version = await checkpoints.putWork(id, JSON.stringify(work), this.#version);
    if (version === undefined) throw new Overtaken();
    this.#work = work;
    this.#version = version;
    log.error('What an unfinished delta has kept cannot be read: it goes on as a full checkpoint', {
      id,
      error: String(error),
    });
  }

  async #run(): Promise<ScanEnd> {
    const places = [...this.#work.segments.keys()];
    try {
      await inParallel(places, places.length, async (segment) => {
        try {
          await this.#scan(segment);
        } catch (error) {
          this.#hasFailed = true;
          throw error;
        }
      });
    } catch (error) {
      if (error instanceof Overtaken) return { kind: 'overtaken', work: this.#work };
      throw error;
    }
    const isComplete = this.#work.segments.every(({ isDone }) => isDone);
    return { kind: isComplete ? 'complete' : 'unfinished', work: this.#work };
  }

  async #scan(segment: number): Promise<void> {
    const { generations, partBytes = PART_BYTES } = this.#taker;
    const { segments, generation } = this.#work;
    let { after, isDone } = segments[segment] as SegmentWork;
    let packer = new PartPacker(partBytes);
    let found = nothingFound();
    while (!isDone && (await this.#mayGoOn())) {
      const page = await generations.scan({
        generation,
        segment,
        segments: segments.length,
        ...(after !== undefined && { after }),
      });
      let isWhole = true;
      for (const item of page.items) {
        if (this.#isOver()) {
          isWhole = false;
          break;
        }
        const line = await this.#lineOf(item);
        if (line !== undefined) {
          const hash = hashOfLine(line);
          if (!this.#finds(segment, line, hash, found)) packer.add(line, hash);
        }
        after = item.pk;
        if (packer.isFull || found.bytes >= KEPT_TO_STORED * partBytes) {
          await this.#store(segment, packer, found, { after, isDone: false });
          packer = new PartPacker(partBytes);
          found = nothingFound();
        }
      }
      if (!isWhole) break;
      isDone = page.next === undefined;
      after = page.next ?? after;
    }
    if (this.#hasFailed) return;
    await this.#store(segment, packer, found, { ...(after !== undefined && { after }), isDone });
  }

  /** Waits where the scan is ahead of the read units that it may use. */
  async #mayGoOn(): Promise<boolean> {
    const { clock, wait, generations, readUnitsPerSecond } = this.#taker;
    const used = generations.costs().rcu - this.#startRcu;
    const dueMs = this.#startMs + (used / readUnitsPerSecond) * 1_000;
    const waitMs = Math.min(dueMs, this.#stopMs) - clock.nowMs();
    if (waitMs > 0 && !this.#isOver()) await wait(waitMs);
    return !this.#isOver();
  }

  #isOver(): boolean {
    return this.#hasFailed || this.#taker.clock.nowMs() >= this.#stopMs;
  }

  /** @returns `undefined` where the item is gone since it was scanned. */
  async #lineOf(item: StateItem): Promise<string | undefined> {
    const { spilled, pk } = item;
    if (spilled === undefined) return checkpointLine(item);
    return this.#room.during(spilled.bytes, async () => {
      const whole = (await this.#taker.store.load([pk])).get(pk);
      return whole && checkpointLine(whole);
    });
  }

  /** Whether a line lies there already: then it is kept. */
  #finds(segment: number, line: string, hash: Buffer, found: Found): boolean {
    const number = this.#pool?.find(hash);
    if (number === undefined) return false;
    this.#kept[segment]?.add(number);
    found.items += 1;
    found.bytes += line.length;
    found.digest.add(line, hash);
    return true;
  }

  /** Stores a part, and what was found again, and then notes both together with how far the segment is. */
  async #store(
    segment: number,
    packer: PartPacker,
    found: Found,
    position: Pick<SegmentWork, 'after' | 'isDone'>,
  ): Promise<void> {
    const before = this.#work.segments[segment] as SegmentWork;
    if (packer.lines === 0 && found.items === 0) {
      if (before.isDone === position.isDone && before.after === position.after) return;
      return this.#note(segment, { ...before, ...position });
    }
    const { parts, digest } = await this.#storePart(segment, packer, before);
    digest.merge(found.digest);
    digest.merge(new LineDigest(before.digest));
    const kept = found.items === 0 ? before.kept : await this.#storeKept(segment);
    await this.#note(segment, {
      ...position,
      parts,
      ...(kept !== undefined && { kept }),
      items: before.items + packer.lines + found.items,
      digest: String(digest),
    });
  }

  async #storePart(
    segment: number,
    packer: PartPacker,
    { parts }: SegmentWork,
  ): Promise<Pick<SegmentWork, 'parts'> & { readonly digest: LineDigest }> {
    if (packer.lines === 0) return { parts, digest: new LineDigest() };
    const { checkpoints, deltas } = this.#taker;
    const { id } = this.#work;
    const name = partName(segment, parts.length, this.#holder);
    const { packed, lines, sha256, digest, hashes } = packer.finish();
    if (deltas !== undefined) await checkpoints.putPart(id, hashesName(name), hashes);
    await checkpoints.putPart(id, name, packed);
    const part = {
      name,
      lines,
      bytes: packed.length,
      sha256,
      ...(deltas !== undefined && { hashes: sha256Of(hashes) }),
    };
    return { parts: [...parts, part], digest };
  }

  /** Under a name of its own each time: what is noted must not change before it is noted anew. */
  async #storeKept(segment: number): Promise<ManifestObject> {
    const { packed, sha256 } = (this.#kept[segment] as KeptLines).pack();
    const name = keptName(segment, this.#keptNotes++, this.#holder);
    await this.#taker.checkpoints.putPart(this.#work.id, name, packed);
    return { name, bytes: packed.length, sha256 };
  }

  #note(segment: number, progress: SegmentWork): Promise<void> {
    const note = async (): Promise<void> => {
      if (this.#hasFailed) return;
      const work: CheckpointWork = {
        ...this.#work,
        segments: this.#work.segments.map((each, place) => (place === segment ? progress : each)),
      };
      const { checkpoints } = this.#taker;
      const version = await checkpoints.putWork(work.id, JSON.stringify(work), this.#version);
      if (version === undefined) throw new Overtaken();
      this.#work = work;
      this.#version = version;
    };
    const noting = this.#noting.then(note);
    this.#noting = noting.catch(() => undefined);
    return noting;
  }
}
