import { setTimeout as wait } from 'node:timers/promises';
import { keyAndStatesOf, itemOfLine } from '../../shared/checkpoint/checkpoint-line.ts';
import type { Manifest, ManifestShard } from '../../shared/checkpoint/manifest.ts';
import { checkpointLines } from '../../shared/checkpoint/read-checkpoint.ts';
import type { S3CheckpointStore } from '../../shared/checkpoint/s3-checkpoint-store.ts';
import type { Document } from '../../shared/state/document.ts';
import type { PipelineAccess } from '../cli/pipeline-access.ts';
import { recordsBehind } from '../cli/records-behind.ts';
import { comparableText, type IgnoredFields } from './comparable-text.ts';
import { CommonSpan } from './common-span.ts';
import type { LiveItems } from './live-items.ts';
import { compareLiveStates, type StatesReport } from './live-states.ts';
import { judgeTimer, type FiredTimes } from './lone-timers.ts';
import { matchOutputs, type LoneTimerOutput, type Matching, type PublishedOutput } from './match-outputs.ts';
import { matchRows, twinKeyOf, type Ends } from './match-rows.ts';
import { OutputBuckets } from './output-buckets.ts';
import type { SinkPair } from './paired-sinks.ts';
import { placeOf, type OutputPlace } from './output-place.ts';
import { readSinkStream, retentionMs } from './sink-stream.ts';
import { SinkRows, type SinkRow } from './sink-rows.ts';
import { Tally } from './tally.ts';

/** A pipeline at work, to whoever may read it. */
export interface ComparedPipeline {
  readonly access: PipelineAccess;
  readonly items: LiveItems;
}

export interface CompareOptions {
  readonly old: ComparedPipeline;
  readonly new: ComparedPipeline;
  /** The fork's copy of the checkpoint that it went on from, and where it lies. */
  readonly forked: Manifest;
  readonly checkpoints: S3CheckpointStore;
  readonly pairs: readonly SinkPair[];
  /** Outputs of records up to there, instead of up to where both are; states are not compared then. */
  readonly upTo?: readonly ManifestShard[];
  readonly ignored: IgnoredFields;
  readonly limit: number;
  /** How long what is further in one than in the other is looked at again, milliseconds. */
  readonly patienceMs: number;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

export interface SinkReport {
  readonly pair: SinkPair;
  readonly tally: Tally;
  /** Outputs of records that arrived earlier are no longer in the streams; milliseconds since the epoch. */
  readonly sinceMs?: number;
}

export interface CompareReport {
  readonly span: CommonSpan;
  readonly sinks: readonly SinkReport[];
  readonly states: StatesReport | undefined;
}

const PAUSE_MS = 1_000;
/** What was published before the checkpoint read how far it was, by an invocation that was still under way. */
const INVOCATION_MS = 900_000;
/** From a sink stream's oldest record on, until it is sure that what is read is there in both. */
const TRIMMED_MARGIN_MS = 3_600_000;
/** Rows, and outputs of timers, that are looked at again; what is beyond them is left open. */
const REMEMBERED = 10_000;
/** Between the clock of this machine and that of the streams. */
const CLOCK_MARGIN_MS = 60_000;

/** Compares what a pipeline and its fork have published and what they know, while both go on. */
export async function comparePipelines(options: CompareOptions): Promise<CompareReport> {
  return new Comparison(options).run();
}

/** What a timer made in one alone, when its sink was read. */
interface LoneTimer {
  readonly timer: LoneTimerOutput;
  readonly tally: Tally;
  /** Looks once more for those that are over: the other may have fired since. */
  readonly lookAgain: (over: readonly LoneTimerOutput[], span: CommonSpan) => Promise<void>;
}

class Comparison {
  readonly #options: CompareOptions;
  readonly #lone: LoneTimer[] = [];

  constructor(options: CompareOptions) {
    this.#options = options;
  }

  async run(): Promise<CompareReport> {
    const { pairs, signal, say, upTo } = this.#options;
    const span = await this.span();
    const isSettled = !span.isByPartition || (await this.#isThrough());
    const sinks: SinkReport[] = [];
    for (const pair of span.isEmpty ? [] : pairs) {
      signal.throwIfAborted();
      say(`Reading what sink ${pair.old}${pair.old === pair.new ? '' : ` and ${pair.new}`} got …`);
      const matching = { span, outputs: pair.outputs, isSettled };
      sinks.push(await (pair.kind === 'stream' ? this.#stream(pair, matching) : this.#table(pair, matching)));
    }
    let states: StatesReport | undefined;
    if (upTo === undefined && !span.isEmpty) {
      say('Reading the states …');
      states = await compareLiveStates(this.#options.old.items, this.#options.new.items, {
        ignored: this.#options.ignored,
        limit: this.#options.limit,
        span: () => this.span(),
        rounds: this.#rounds,
        pauseMs: PAUSE_MS,
        isInterrupted: () => signal.aborted,
      });
    }
    await this.#judgeTimers();
    signal.throwIfAborted();
    return { span, sinks, states };
  }

  /** How far both are now. */
  async span(): Promise<CommonSpan> {
    const { old, new: now, forked, upTo } = this.#options;
    const standings = await Promise.all([old.items.positions(), now.items.positions()]);
    return new CommonSpan(
      forked.shards,
      upTo === undefined ? standings : [...standings, upTo],
      forked.isByPartition,
    );
  }

  get #rounds(): number {
    return Math.ceil(this.#options.patienceMs / PAUSE_MS);
  }

  /** Whether nothing waits for either of them. */
  async #isThrough(): Promise<boolean> {
    for (const { access, items } of [this.#options.old, this.#options.new]) {
      for (const shard of await items.positions()) {
        const behind = await recordsBehind(access.kinesis, shard, 1, this.#options.nowMs);
        if (behind?.records !== 0) return false;
      }
    }
    return true;
  }

  async #stream(pair: SinkPair, matching: Matching): Promise<SinkReport> {
    const { forked, nowMs, signal, ignored, limit } = this.#options;
    const tally = new Tally(limit);
    const buckets = new OutputBuckets();
    const untilMs = nowMs();
    const ends = this.#streamsOf(pair);
    const lookAgain = (over: readonly LoneTimerOutput[]): Promise<void> =>
      this.#lookAgain(pair, over, tally, untilMs - CLOCK_MARGIN_MS);
    const kept = await Promise.all(ends.map(({ access, stream }) => retentionMs(access.kinesis, stream)));
    const wantedMs = forked.startedMs - INVOCATION_MS;
    const oldestMs = untilMs - Math.min(...kept) + TRIMMED_MARGIN_MS;
    const isTrimmed = oldestMs > wantedMs;
    try {
      for (const { side, access, stream } of ends) {
        const range = { fromMs: wantedMs, untilMs, signal };
        await readSinkStream(access.kinesis, stream, range, ({ id, key, value, provenance }) => {
          if (placeOf(access.pipeline, id)?.sink !== pair[side]) return;
          const text = comparableText(value as Document, ignored);
          buckets.add(side, id, { key, value: text, arrivalMs: provenance.arrivalMs });
        });
      }
      for (const outputs of buckets.all(this.#pipelines)) {
        const within = { ...matching, ...(isTrimmed && { sinceMs: oldestMs }) };
        for (const timer of matchOutputs(outputs.old, outputs.new, within, tally)) {
          this.#note({ timer, tally, lookAgain });
        }
      }
    } finally {
      buckets.remove();
    }
    return { pair, tally, ...(isTrimmed && { sinceMs: oldestMs }) };
  }

  /** Timers that have fired since the streams were read stand at their end. */
  async #lookAgain(
    pair: SinkPair,
    over: readonly LoneTimerOutput[],
    tally: Tally,
    fromMs: number,
  ): Promise<void> {
    const { nowMs, signal, ignored } = this.#options;
    const nameOf = ({ lane, position: { sequence } }: OutputPlace, key: string): string =>
      `${lane} ${sequence} ${key}`;
    const wanted = new Set(over.map(({ output: { place, key } }) => nameOf(place, key)));
    const found = { old: new Map<string, PublishedOutput[]>(), new: new Map<string, PublishedOutput[]>() };
    for (const { side, access, stream } of this.#streamsOf(pair)) {
      const range = { fromMs, untilMs: nowMs(), signal };
      await readSinkStream(access.kinesis, stream, range, ({ id, key, value, provenance: { arrivalMs } }) => {
        const place = placeOf(access.pipeline, id);
        const name = place && nameOf(place, key);
        if (place?.sink !== pair[side] || name === undefined || !wanted.has(name)) return;
        const output = { place, key, value: comparableText(value as Document, ignored), arrivalMs };
        found[side].set(name, [...(found[side].get(name) ?? []), output]);
      });
    }
    for (const { side, output } of over) {
      const { place, key, value } = output;
      const twins = found[side === 'old' ? 'new' : 'old'].get(nameOf(place, key)) ?? [];
      const twin = twins.find((each) => each.place.tail === place.tail) ?? twins[0];
      if (side === 'old') tally.compare(key, value, twin?.value, place.tail);
      else tally.compare(key, twin?.value, value, place.tail);
    }
  }

  async #table(pair: SinkPair, matching: Matching): Promise<SinkReport> {
    const { old, new: now, ignored, limit, signal } = this.#options;
    const tally = new Tally(limit);
    const ends: Ends = { pipelines: this.#pipelines, sinks: pair };
    const tables = {
      old: new SinkRows(old.access.dynamodb, old.access.sinks.get(pair.old) ?? '', ignored),
      new: new SinkRows(now.access.dynamodb, now.access.sinks.get(pair.new) ?? '', ignored),
    };
    /** By partition key in the old table, that in the new one. */
    const apart = new Map<string, string>();
    const judge = (keys: readonly [string, string], span: CommonSpan, a?: SinkRow, b?: SinkRow): void => {
      const judged = matchRows(a, b, ends, { span, isSettled: matching.isSettled }, tally);
      apart.delete(keys[0]);
      if (judged === 'apart') {
        if (apart.size < REMEMBERED) apart.set(...keys);
        else tally.open += 1;
      } else if (judged !== 'done') {
        this.#note({ timer: judged, tally, lookAgain: (_, now) => lookAgain(keys, now) });
      }
    };
    /** A timer is over: what stands in the rows now is what each pipeline made of it. */
    const lookAgain = async (
      [oldKey, newKey]: readonly [string, string],
      span: CommonSpan,
    ): Promise<void> => {
      const [a, b] = [await tables.old.load([oldKey]), await tables.new.load([newKey])];
      const found = { span, isSettled: matching.isSettled };
      const judged = matchRows(a.get(oldKey), b.get(newKey), ends, found, tally);
      if (judged === 'apart') tally.open += 1;
      else if (judged !== 'done') {
        const { side, output } = judged;
        const other = side === 'old' ? b.get(newKey)?.value : a.get(oldKey)?.value;
        if (side === 'old') tally.compare(output.key, output.value, other, output.place.tail);
        else tally.compare(output.key, other, output.value, output.place.tail);
      }
    };
    for await (const page of tables.old.pages()) {
      signal.throwIfAborted();
      const twins = await tables.new.load(page.map((row) => twinKeyOf(row, 'old', ends)));
      for (const row of page) {
        const twin = twinKeyOf(row, 'old', ends);
        judge([row.pk, twin], matching.span, row, twins.get(twin));
      }
    }
    for await (const page of tables.new.pages()) {
      signal.throwIfAborted();
      const twins = await tables.old.load(page.map((row) => twinKeyOf(row, 'new', ends)));
      for (const row of page) {
        const twin = twinKeyOf(row, 'new', ends);
        if (!twins.has(twin)) judge([twin, row.pk], matching.span, undefined, row);
      }
    }
    for (let round = 0; round < this.#rounds && apart.size > 0 && !signal.aborted; round++) {
      await wait(PAUSE_MS);
      const span = await this.span();
      for (const [oldKey, newKey] of [...apart]) {
        const [a, b] = [await tables.old.load([oldKey]), await tables.new.load([newKey])];
        judge([oldKey, newKey], span, a.get(oldKey), b.get(newKey));
      }
    }
    tally.open += apart.size;
    return { pair, tally };
  }

  #note(lone: LoneTimer): void {
    if (lone.timer.stateKey === undefined || this.#lone.length >= REMEMBERED) lone.tally.open += 1;
    else this.#lone.push(lone);
  }

  async #judgeTimers(): Promise<void> {
    if (this.#lone.length === 0) return;
    const { old, new: now, signal } = this.#options;
    const inherited = await this.#firedAtFork(
      new Set(this.#lone.flatMap(({ timer: { side, stateKey = '' } }) => (side === 'old' ? [stateKey] : []))),
    );
    let left: readonly LoneTimer[] = this.#lone;
    for (let round = 0; left.length > 0 && round <= this.#rounds && !signal.aborted; round++) {
      if (round > 0) await wait(PAUSE_MS);
      const span = await this.span();
      const open: LoneTimer[] = [];
      const over = new Map<LoneTimer['lookAgain'], LoneTimerOutput[]>();
      for (const lone of left) {
        const { stateKey = '' } = lone.timer;
        const [olds, nows] = await Promise.all([old.items.load([stateKey]), now.items.load([stateKey])]);
        const judged = judgeTimer(lone.timer, {
          old: olds.get(stateKey),
          new: nows.get(stateKey),
          span,
          inherited: inherited.get(stateKey),
        });
        if (judged === 'open') open.push(lone);
        if (judged === 'over') over.set(lone.lookAgain, [...(over.get(lone.lookAgain) ?? []), lone.timer]);
      }
      for (const [lookAgain, timers] of over) await lookAgain(timers, span);
      left = open;
    }
    for (const { tally } of left) tally.open += 1;
  }

  /** Of these keys: up to where their timers had fired in the fork's checkpoint. */
  async #firedAtFork(keys: ReadonlySet<string>): Promise<Map<string, FiredTimes>> {
    const { forked, checkpoints } = this.#options;
    const fired = new Map<string, FiredTimes>();
    if (keys.size === 0) return fired;
    for await (const line of checkpointLines(checkpoints, forked)) {
      const key = keyAndStatesOf(line)?.key;
      if (key === undefined || !keys.has(key)) continue;
      const { firedMs, processingFiredMs } = itemOfLine(line, forked.generation, forked.generation);
      fired.set(key, {
        ...(firedMs !== undefined && { firedMs }),
        ...(processingFiredMs !== undefined && { processingFiredMs }),
      });
    }
    return fired;
  }

  #streamsOf(pair: SinkPair) {
    return (['old', 'new'] as const).map((side) => {
      const { access } = this.#options[side];
      return { side, access, stream: access.sinks.get(pair[side]) ?? '' };
    });
  }

  get #pipelines(): { readonly old: string; readonly new: string } {
    return { old: this.#options.old.access.pipeline, new: this.#options.new.access.pipeline };
  }
}
