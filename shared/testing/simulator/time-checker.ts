import { standingOf } from '../../output/output-id.ts';
import type { Delivery } from '../../output/sink-port.ts';
import type { PipelineDefinition, PipelineTime } from '../../pipeline/definition.ts';
import { isTimerLane, shardOfLane } from '../../source/lane.ts';
import { comparePositions, type Position } from '../../source/position.ts';
import type { SourceRecord } from '../../source/record.ts';
import { keyOfItem } from '../../state/row-key.ts';
import type { Document } from '../../state/document.ts';
import type { OutputEntry, StateItem } from '../../state/state-item.ts';
import type { Progress } from '../../state/state-store.ts';
import type { SourceLane } from '../../time/source-lanes.ts';
import { LaneTruth } from './lane-truth.ts';
import type { Oracle } from './oracle.ts';
import { isAsRun, TimedOracle, type TimedKey, type TimedRun } from './timed-oracle.ts';
import { WindowChecker, type WindowRule } from './window-checker.ts';

export interface TimeCheckerOptions {
  readonly definition: PipelineDefinition & { readonly time: PipelineTime };
  readonly oracle: Oracle;
  /** Of all shards that the stream ever had. */
  readonly lanes: () => readonly SourceLane[];
  /** What windows collect, where the pipeline's first operator is such. */
  readonly windows?: WindowRule | undefined;
  /** Whether it is committed, and published or superseded. */
  readonly isDone: (outputId: string) => boolean;
  readonly say: (invariant: string, what: string) => void;
  /** Of another generation, where there is one. */
  readonly before?: TimeChecker | undefined;
  /** The latest moment that a clock of a process may show, milliseconds since the epoch. */
  readonly latestClockMs?: (() => number) | undefined;
}

/** An output of a timer that is committed. */
interface TimerOutput {
  readonly id: string;
  readonly entry: OutputEntry;
  /** Who publishes it: a lane's records up to a position, or sweeps. */
  carrier: { readonly lane: string; readonly position: Position } | undefined;
}

/**
 * Watches event time: where lanes are, what is late, what fires when, and in which order. Everything by the records, by
 * how far progress is, and by what lanes were lifted to, at the moment when a write takes effect.
 */
export class TimeChecker {
  readonly #options: TimeCheckerOptions;
  readonly #lanes: LaneTruth;
  readonly #oracle: TimedOracle;
  readonly #windows: WindowChecker | undefined;
  /** By lane of the timers, sink and destination key. */
  readonly #outputs = new Map<string, TimerOutput[]>();
  readonly #firedMs = new Map<string, number>();
  /** Of the generation before, and of that of the checkpoint that a rewind went back to. */
  readonly #sources: LaneTruth[] = [];
  /** Records that are late for nothing but what their lane was lifted to. */
  excused = 0;

  constructor(options: TimeCheckerOptions) {
    this.#options = options;
    const { definition, oracle, lanes, windows, say, before } = options;
    this.#lanes = new LaneTruth(definition.time, lanes, before && before.#lanes);
    if (before !== undefined) this.#sources.push(before.#lanes);
    this.#oracle = new TimedOracle(definition, oracle);
    this.#windows = windows && new WindowChecker(windows, say);
  }

  put(record: SourceRecord, shard: string, highestMs: number | undefined): void {
    this.#lanes.put(record, shard, highestMs);
  }

  provenIdle(shard: string, position: Position | undefined): void {
    this.#lanes.provenIdle(shard, position);
  }

  /** A rewind lets a shard begin. @param from of the generation of the checkpoint. */
  begun(shard: string, { position, time, liftedMs = -Infinity }: Progress, from: TimeChecker): void {
    this.#sources.push(from.#lanes);
    const highestMs = Math.max(time?.highestMs ?? -Infinity, liftedMs);
    this.#lanes.begun(shard, position, highestMs, from.#lanes);
  }

  /** An item of a checkpoint has been written. @param runs what the writes did that it is of. */
  restored(item: StateItem, runs: readonly TimedRun[]): void {
    const key = keyOfItem(item.pk) as string;
    for (const run of runs) this.#take(key, run);
    this.#firedMs.set(item.pk, item.firedMs ?? -Infinity);
    this.#checkIndex(item);
  }

  lifted(shard: string, position: Position | undefined, toMs: number): void {
    const wrong = this.#lanes.lifted(shard, position, toMs, this.#sources);
    if (wrong !== undefined) this.#options.say('time', wrong);
    const { of } = this.#options.definition.time;
    const { highestMs } = this.#lanes;
    if (of !== undefined && toMs > highestMs)
      this.#options.say('time', `${shard} is lifted to ${toMs}, and no record is beyond ${highestMs}`);
  }

  /** A shard's progress row has been written. */
  advanced(shard: string, position: Position, stored: Progress | undefined): void {
    this.#lanes.advanced(shard, position);
    if (stored?.position === undefined) return;
    const highestMs = this.#lanes.highestAt(shard, stored.position);
    const told = stored.time?.highestMs ?? -Infinity;
    const isRight = this.#lanes.hasLifts(shard)
      ? told >= highestMs && told <= Math.max(highestMs, this.#lanes.highestFloorOf(shard))
      : told === highestMs;
    if (!isRight)
      this.#options.say('time', `progress of ${shard} tells of ${told}, and its records of ${highestMs}`);
    this.#checkCarried(shard, position, `progress of ${shard}`);
  }

  /** Everything that records of the shard carry up to a position is published. */
  #checkCarried(shard: string, position: Position, where: string): void {
    for (const { id, carrier } of this.#allOutputs()) {
      if (carrier === undefined || shardOfLane(carrier.lane) !== shard) continue;
      if (comparePositions(carrier.position, position) > 0 || this.#options.isDone(id)) continue;
      this.#options.say('I5', `${where} covers what carries ${id}, which is not published`);
    }
  }

  /**
   * A write of a key's item has taken effect.
   * @param records that it brings in, in the order in which they ran; none where it only fires.
   * @param last the last record of the writer's batch.
   * @returns what it should have done.
   */
  written(
    item: StateItem,
    records: readonly SourceRecord[],
    last: SourceRecord | undefined,
    isParked: boolean,
  ): TimedRun {
    const key = keyOfItem(item.pk) as string;
    const firedMs = item.firedMs ?? -Infinity;
    const hadFiredMs = this.#firedMs.get(item.pk) ?? -Infinity;
    if (firedMs < hadFiredMs)
      this.#say('I2', `${item.pk} has fired up to ${hadFiredMs}, and then to ${firedMs}`);
    this.#firedMs.set(item.pk, Math.max(firedMs, hadFiredMs));
    const lane = records[0]?.lane;
    const own =
      lane === undefined
        ? undefined
        : { lane, overMs: this.#lanes.overBehind(lane, last?.position.sequence) };
    const overMs = this.#lanes.overInAll(own);
    if (firedMs > hadFiredMs && firedMs > overMs)
      this.#say(
        'time',
        `${item.pk} fires up to ${firedMs}, and event time is over up to ${overMs} in all lanes`,
      );

    const run = this.#explain(key, item, records, isParked);
    this.#checkClock(item, records, this.#oracle.of(key), run);
    for (const step of run.steps) {
      if (step.kind === 'fired') continue;
      const { lane } = step.record;
      const alone = this.#lanes.overBefore(step.record);
      // What a restored item has fired up to it may have from lifts behind the checkpoint's positions.
      const floorMs = Math.max(
        this.#lanes.highestFloorOf(lane),
        ...this.#sources.map((source) => source.highestFloorOf(lane)),
      );
      const lifted = Math.max(alone, floorMs - this.#time.latenessMs);
      if (step.overMs > lifted)
        this.#say(
          'time',
          `${item.pk} has fired up to ${step.overMs}, and a record of ${step.record.lane} comes for which no more than ${lifted} is over`,
        );
      if (step.overMs > alone) this.excused += 1;
    }
    this.#take(key, run);
    this.#checkIndex(item);
    return run;
  }

  #take(key: string, run: TimedRun): void {
    this.#oracle.take(key, run);
    this.#windows?.written(key, run, (record) => this.#options.oracle.valuesOf(record, key));
  }

  /**
   * Of all that a lane may have been lifted to when its records were judged: with what the write is as it is. All else is
   * decided by the records, and by how far the write says that it has fired.
   */
  #explain(key: string, item: StateItem, records: readonly SourceRecord[], isParked: boolean): TimedRun {
    const lane = records[0]?.lane;
    const floors = lane === undefined ? [-Infinity] : this.#lanes.floorsOf(lane);
    // In a stream of one shard nobody else holds time back: what is due before a record fires before it.
    const isAlone = this.#options.lanes().length === 1;
    let first: TimedRun | undefined;
    for (const floorMs of floors) {
      const run = this.#oracle.run(key, {
        records: records.map((record) => ({
          record,
          overMs: Math.max(this.#lanes.overBefore(record), floorMs - this.#time.latenessMs),
        })),
        firesUpToMs: item.firedMs ?? -Infinity,
        ...(isAlone && { firesBeforeUpToMs: Infinity }),
        processingUpToMs: item.processingFiredMs ?? -Infinity,
        isParked,
      });
      if (isAsRun(run, item)) return run;
      first ??= run;
    }
    return first as TimedRun;
  }

  /** What a key's states should be. */
  statesOf(key: string): ReadonlyMap<string, Document> {
    return this.#oracle.of(key).states;
  }

  /** An output of a timer is committed. */
  made(id: string, entry: OutputEntry): void {
    const name = orderName(entry);
    const list = this.#outputs.get(name) ?? [];
    this.#outputs.set(name, list);
    list.push({ id, entry, carrier: undefined });
  }

  /** The item's outbox says who publishes what is pending. */
  carried(item: StateItem, idOf: (entry: OutputEntry) => string): void {
    const pending = new Map(
      item.outbox.flatMap((entry) =>
        entry.kind === 'output' && isTimerLane(standingOf(entry).lane) ? [[idOf(entry), entry] as const] : [],
      ),
    );
    if (pending.size === 0) return;
    for (const output of this.#allOutputs()) {
      const entry = pending.get(output.id);
      if (entry !== undefined)
        output.carrier = isTimerLane(entry.lane) ? undefined : { lane: entry.lane, position: entry.position };
    }
  }

  /** An output is published: those of its key's timers that were due before it are. */
  delivered({ id, entry, destinationKey }: Delivery): void {
    if (!isTimerLane(standingOf(entry).lane) || entry.isChange) return;
    for (const other of this.#outputs.get(orderName(entry)) ?? []) {
      const isEarlier = comparePositions(standingOf(other.entry).position, standingOf(entry).position) < 0;
      if (isEarlier && !this.#options.isDone(other.id))
        this.#say(
          'order',
          `output ${id} is published to ${destinationKey} before ${other.id}, which was due earlier`,
        );
    }
  }

  /**
   * What goes by the clock fires when it has come, and says so by no other time than its own. Before a record the clock is
   * its arrival.
   */
  #checkClock(item: StateItem, records: readonly SourceRecord[], before: TimedKey, { key }: TimedRun): void {
    const { pk, processingFiredMs = -Infinity } = item;
    const arrivals = records.map(({ arrivalMs }) => arrivalMs);
    const latestMs =
      arrivals.length > 0 ? Math.max(...arrivals) : (this.#options.latestClockMs?.() ?? Infinity);
    if (processingFiredMs > before.processingFiredMs && processingFiredMs > latestMs)
      this.#say(
        'time',
        `${pk} fires by the clock up to ${processingFiredMs}, which shows ${latestMs} at most`,
      );
    if (processingFiredMs !== key.processingFiredMs)
      this.#say(
        'I2',
        `${pk} has fired by the clock up to ${processingFiredMs}, and not ${key.processingFiredMs}`,
      );
    const firedMs = item.firedMs ?? -Infinity;
    if (firedMs !== key.firedMs)
      this.#say('I2', `${pk} has fired by event time up to ${firedMs}, and not ${key.firedMs}`);
  }

  /** A sweep finds what it has to look at. */
  #checkIndex(item: StateItem): void {
    const key = keyOfItem(item.pk) as string;
    const byEventMs = this.#oracle.nextDueMs(key, 'event');
    const dueMs = item.outbox.some(({ lane }) => isTimerLane(lane)) ? 0 : byEventMs;
    if (!isFound(item.dueMs, dueMs))
      this.#say('time', `${item.pk} is due at ${dueMs}, and stands in the index at ${item.dueMs}`);
    const byClockMs = this.#oracle.nextDueMs(key, 'processing');
    if (!isFound(item.processingDueMs, byClockMs))
      this.#say(
        'time',
        `${item.pk} is due by the clock at ${byClockMs}, and stands in the index at ${item.processingDueMs}`,
      );
  }

  /** All is acknowledged, and sweeps have come to rest. */
  atRest(items: ReadonlyMap<string, StateItem>): void {
    const { of, latenessMs } = this.#time;
    const overMs = (of === undefined ? -Infinity : this.#lanes.highestMs) - latenessMs;
    for (const [pk, { letters }] of items) {
      const key = keyOfItem(pk);
      if (key === undefined || letters?.parkedFrom !== undefined) continue;
      const byClockMs = this.#oracle.nextDueMs(key, 'processing');
      if (byClockMs !== undefined)
        this.#say('liveness', `${pk} waits for ${byClockMs} by the clock, and time has passed`);
      const dueMs = this.#oracle.nextDueMs(key, 'event');
      if (dueMs !== undefined && dueMs <= overMs)
        this.#say('liveness', `${pk} waits for ${dueMs}, and event time is over up to ${overMs}`);
    }
    for (const { id } of this.#allOutputs())
      if (!this.#options.isDone(id)) this.#say('liveness', `output ${id} of a timer is not published`);
  }

  *#allOutputs(): Generator<TimerOutput> {
    for (const list of this.#outputs.values()) yield* list;
  }

  get #time(): PipelineTime {
    return this.#options.definition.time;
  }

  #say(invariant: string, what: string): void {
    this.#options.say(invariant, what);
  }
}

/** Whether the index leads to what is due, in time. */
function isFound(indexedMs: number | undefined, dueMs: number | undefined): boolean {
  return dueMs === undefined || (indexedMs !== undefined && indexedMs <= dueMs);
}

function orderName(entry: OutputEntry): string {
  return JSON.stringify([standingOf(entry).lane, entry.sink, entry.destinationKey]);
}
