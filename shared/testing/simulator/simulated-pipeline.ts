import { ItemCache } from '../../engine/item-cache.ts';
import { DEADLINE_MARGIN_MS, ENGINE_LIMITS, ITEM_RESERVE_BYTES } from '../../engine/limits.ts';
import { sweepTimers, type TimerSweep } from '../../engine/sweep-timers.ts';
import { processBatch } from '../../engine/process-batch.ts';
import { programOf, relayProgramOf, type Program } from '../../engine/program.ts';
import type { LetterResult, LettersRequest } from '../../engine/letter-results.ts';
import { processLetters } from '../../engine/redrive.ts';
import type { Runtime } from '../../engine/runtime.ts';
import type { InvocationOutcome } from '../../mapping/mapping-input.ts';
import type { KinesisEvent } from '../../mapping/kinesis-event.ts';
import type { MappingSettings } from '../../mapping/mapping-settings.ts';
import type { StreamRecord } from '../../mapping/stream-record.ts';
import type { DeadLetter } from '../../output/dead-letter-store.ts';
import { MemoryDeadLetterStore } from '../../output/memory-dead-letters.ts';
import { MemoryLookup, tablesIn } from '../../lookup/memory-lookup.ts';
import type { KinesisSink, Pipeline } from '../../pipeline/definition.ts';
import { readKinesisEvent } from '../../source/kinesis-event.ts';
import { shardLane } from '../../source/lane.ts';
import { MemoryBlobStore } from '../../state/memory-blob-store.ts';
import { MemoryStateStore } from '../../state/memory-state-store.ts';
import { sweepSpilled } from '../../state/sweep-spilled.ts';
import { MemoryCheckpointStore } from '../../checkpoint/memory-checkpoint-store.ts';
import { MemoryGenerationStore } from '../../state/memory-generation-store.ts';
import { decodeControl, FIRST_CONTROL } from '../../state/progress-codec.ts';
import { CONTROL_KEY, generationOf } from '../../state/row-key.ts';
import type { StateItem } from '../../state/state-item.ts';
import type { Control } from '../../state/state-store.ts';
import { Checker, type CheckerOptions } from './checker.ts';
import type { MemoryStream, UserRecord } from './memory-stream.ts';
import { SimulatedMapping } from './simulated-mapping.ts';
import { laneOfItem, SimulatedPorts, wholeItem, type PipelineResources } from './simulated-ports.ts';
import type { Invocation, SimulatedProcess } from './simulated-process.ts';
import { operateFork, type ForkPlan } from './simulated-fork.ts';
import { operateCheckpoint, operateRewind, type RewindGround, type RewindPlan } from './simulated-rewind.ts';
import type { World } from './world.ts';

export interface SimulatedPipelineOptions {
  readonly pipeline: Pipeline;
  /** Records come into the pipeline from here. */
  readonly stream: MemoryStream;
  /** The internal stream of a repartition: every pipeline with one needs it. */
  readonly innerStream?: MemoryStream | undefined;
  /** By sink: the stream that it feeds; a sink without one is only watched. */
  readonly sinkStreams?: ReadonlyMap<string, MemoryStream>;
  readonly batchSize: number;
  readonly batchingWindowMs: number;
  /** The highest that function and mapping ever have. */
  readonly parallelizationFactor: number;
  /** What both begin with; the highest unless given. */
  readonly firstFactor?: number | undefined;
  readonly bisectOnError: boolean;
  readonly timeoutMs: number;
  /** States beyond so many bytes are spilled; as on AWS unless given. */
  readonly inlineStateBytes?: number | undefined;
  /** What inline states and the outbox of an item may take together; as on AWS unless given. */
  readonly roomBytes?: number | undefined;
  /** Deliveries that a sink takes in a request. */
  readonly sinkRequestSize: number;
  readonly parentsFirst: boolean;
  /** Between two reads of a shard that has nothing more to give, milliseconds. */
  readonly pollIntervalMs: number;
  readonly wrongIn?: CheckerOptions['wrongIn'];
  readonly windows?: CheckerOptions['windows'];
  /** Of a pipeline with a time: between two sweeps of timers that come by themselves until there is nothing to do. */
  readonly timerSweepIntervalMs?: number | undefined;
  /** Another one, from a checkpoint of which it is to go on. */
  readonly forkOf?: SimulatedPipeline | undefined;
  /** Whether it processes records until then, and does not wait. */
  readonly isLive?: boolean | undefined;
  /** In place of chance: how many records the next batch has. */
  readonly chooseBatchSize?: (maximum: number) => number;
}

const HOUR_MS = 3_600_000;
/** Behind so much an interval of arrivals is over for certain. */
const ARRIVAL_SLACK_MS = 10_000;
/** So many redrives wait for a checkpoint before an operator looks after it. */
const PATIENCE = 10;
/** Between two requests of an operator. */
const OPERATOR_PAUSE_MS = 8_000;
/** In a page of a checkpoint's scan: what is written comes between most of them. */
const SCANNED_ROWS = 2;
/** Containers that are kept warm. */
const WARM_PROCESSES = 3;

/** What reads one stream: a pipeline, or the front or the back of a repartition, which share everything else. */
interface Half {
  readonly program: Program;
  readonly stream: MemoryStream;
  /** The mapping's; the function is told one of its own. */
  readonly parallelizationFactor: number;
  readonly resources: PipelineResources;
  readonly mapping: SimulatedMapping;
}

/** One deployed pipeline: function, table, dead letters, sinks and mapping, with a checker that watches them. */
export class SimulatedPipeline {
  /** Of what keeps the state: with a repartition the back half. */
  readonly checker: Checker;
  readonly store: MemoryStateStore;
  readonly letters = new Map<string, DeadLetter>();
  readonly #world: World;
  readonly #options: SimulatedPipelineOptions;
  readonly #main: Half;
  readonly #front: Half | undefined;
  readonly #halves: readonly Half[];
  readonly #closedLetters: MemoryDeadLetterStore;
  readonly #blobs: MemoryBlobStore;
  readonly #processes: SimulatedProcess[] = [];
  /** At work with a configuration of before. */
  readonly #retired: SimulatedProcess[] = [];
  /** What the function is told; changed minutes before the mapping is. */
  #toldFactor: number;
  /** Whether a function with parallel lanes has begun a batch. */
  #isNoted = false;
  #isMended = false;
  #sessions = 0;
  /** Redrives in a row that waited for a checkpoint. */
  #waits = 0;
  /** What operators have begun and not ended. */
  #operations = 0;
  #lastPutMs = -Infinity;
  #scheduledSweeps = 0;
  /** Whether a sweep has found nothing to do when all else was done; from the beginning where none comes by itself. */
  #areTimersDone: boolean;
  readonly #checkpoints = new MemoryCheckpointStore();
  readonly #generations: MemoryGenerationStore;

  constructor(world: World, options: SimulatedPipelineOptions) {
    const { pipeline, stream, innerStream, parallelizationFactor, sinkStreams } = options;
    this.#world = world;
    this.#options = options;
    this.store = new MemoryStateStore({
      awaitsFork: options.forkOf !== undefined && options.isLive !== true,
    });
    this.#generations = new WatchedGenerations(this.store, SCANNED_ROWS, (generation, shard) =>
      this.#shardBegun(generation, shard),
    );
    this.#toldFactor = options.firstFactor ?? parallelizationFactor;
    this.#areTimersDone = options.timerSweepIntervalMs === undefined;
    this.#closedLetters = new MemoryDeadLetterStore(() => world.time.nowMs);
    this.#blobs = new MemoryBlobStore(() => world.time.nowMs);
    const relay = relayProgramOf(pipeline.definition);
    if (relay !== undefined) {
      const { name } = relay.relay as KinesisSink;
      if (innerStream === undefined) throw new Error(`The repartition '${name}' has no stream.`);
      this.#front = this.#half(relay, stream, 1, new Map([[name, innerStream]]));
    }
    const source = relay === undefined ? stream : (innerStream as MemoryStream);
    this.#main = this.#half(
      programOf(pipeline.definition),
      source,
      parallelizationFactor,
      sinkStreams ?? new Map(),
    );
    this.#halves = this.#front === undefined ? [this.#main] : [this.#front, this.#main];
    this.checker = this.#main.resources.checker;
  }

  #half(
    program: Program,
    stream: MemoryStream,
    parallelizationFactor: number,
    sinkStreams: ReadonlyMap<string, MemoryStream>,
  ): Half {
    const { parentsFirst, sinkRequestSize } = this.#options;
    const { time, faults, random } = this.#world;
    const { name, source } = program.definition;
    const upstreamRetentionMs = (source.chained?.upstreamRetentionHours ?? 0) * HOUR_MS;
    const checker = new Checker({
      definition: program.definition,
      isRelay: program.relay !== undefined,
      isOrdered: parentsFirst,
      parallelizationFactor,
      wrongIn: this.#options.wrongIn,
      windows: this.#options.windows,
      isLive: this.#options.isLive,
      lanes: () => stream.allLanes(),
      latestClockMs: () => time.nowMs + this.#world.highestSkewMs,
      isWithinRetention: ({ arrivalMs }) =>
        arrivalMs >= time.nowMs - stream.retentionMs - upstreamRetentionMs,
    });
    const half: Half = {
      program,
      stream,
      parallelizationFactor,
      resources: {
        name,
        stream,
        store: this.store,
        blobs: this.#blobs,
        letters: new MemoryDeadLetterStore(() => time.nowMs, this.letters),
        closedLetters: this.#closedLetters,
        checker,
        checkerOf: (shard) => this.#halfOf(shard).resources.checker,
        sinkStreams,
        sinkRequestSize,
        tables: new MemoryLookup(tablesIn(program.definition)),
        onLanesNoted: () => (this.#isNoted = true),
      },
      mapping: new SimulatedMapping({
        stream,
        settings: this.#settings(stream, program.relay === undefined ? this.#toldFactor : 1),
        parentsFirst,
        time,
        faults,
        random,
        invoke: (event, ended) => this.#invoke(half, event, ended),
        acknowledged: (shardId, records) => {
          const shard = shardLane(stream.name, shardId);
          const sequences = records.map(({ sequenceNumber }) => sequenceNumber);
          const { generation, rewind } = this.#control;
          if (rewind === undefined) {
            const reached = this.store.progress(generation, shard)?.position;
            checker.at(generation).acknowledged(shard, sequences, reached);
          } else {
            checker.acknowledgedUnseen(shard, sequences);
          }
        },
        tell: (text) => this.#world.tell(`${name}${program.relay === undefined ? '' : ' (front)'}: ${text}`),
      }),
    };
    return half;
  }

  /** The front, where the shard is of the stream that it reads. */
  #halfOf(shard: string | undefined): Half {
    const front = this.#front;
    const isOfFront = front?.stream.shards.some(
      ({ shardId }) => shardLane(front.stream.name, shardId) === shard,
    );
    return front !== undefined && isOfFront === true ? front : this.#main;
  }

  get violations(): string[] {
    return this.#halves.flatMap(({ resources }) => resources.checker.violations);
  }

  /** Whether user code runs in a checker now, and not in a process. */
  get isJudging(): boolean {
    return this.#halves.some(({ resources }) => resources.checker.oracle.isJudging);
  }

  start(): void {
    for (const { mapping } of this.#halves) mapping.start();
    const { timerSweepIntervalMs } = this.#options;
    if (timerSweepIntervalMs !== undefined) this.#sweepOnSchedule(timerSweepIntervalMs);
  }

  /**
   * A record stands in a stream; it may be another's.
   * @param users what it holds where it is an aggregate: those that are the shard's, by their number in it.
   */
  recordPut(
    stream: MemoryStream,
    shardId: string,
    record: StreamRecord,
    users?: ReadonlyMap<number, UserRecord>,
  ): void {
    const half = this.#halves.find((each) => each.stream === stream);
    if (half === undefined) return;
    this.#lastPutMs = this.#world.time.nowMs;
    const { checker } = half.resources;
    const event = {
      Records: [
        {
          eventSource: 'aws:kinesis',
          eventID: `${shardId}:${record.sequenceNumber}`,
          eventSourceARN: streamArn(stream),
          kinesis: {
            partitionKey: record.partitionKey,
            sequenceNumber: record.sequenceNumber,
            data: record.data,
            approximateArrivalTimestamp: record.approximateArrivalTimestampMs / 1_000,
          },
        },
      ],
    };
    const { records, shard } = readKinesisEvent(event);
    for (const each of records) {
      if (users === undefined) checker.recordPut(each, shard);
      for (const [sub, { partitionKey, data }] of users ?? []) {
        const position = { ...each.position, sub };
        checker.recordPut(
          { ...each, position, partitionKey, deliveryKey: each.partitionKey, data: data.toString('base64') },
          shard,
        );
      }
    }
  }

  /** Whether nothing is left to do and nobody is at work. */
  get isAtRest(): boolean {
    const areLettersGone = !this.#isMended || (this.letters.size === 0 && this.#world.lateEffects === 0);
    return areLettersGone && this.#areTimersDone && this.isIdle;
  }

  /** Whether somebody is at work, be it for nobody any more. */
  get isAtWork(): boolean {
    return this.#operations > 0 || [...this.#processes, ...this.#retired].some(isBusy);
  }

  /** Whether all records are acknowledged and nobody is at work; operators may have something to do yet. */
  get isIdle(): boolean {
    return !this.isAtWork && this.#halves.every(({ resources }) => resources.checker.areAllAcknowledged);
  }

  get #hasSettled(): boolean {
    return this.#options.timerSweepIntervalMs !== undefined && this.#areTimersDone;
  }

  check(): void {
    const items = [...this.store.items()].map(
      ([pk, item]) => [pk, wholeItem(this.#main.resources, item)] as const,
    );
    const { generation, rank } = this.#control;
    const own = new Map(items.filter(([pk]) => generationOf(pk) === generation));
    for (const { resources } of this.#halves)
      resources.checker.at(generation).atRest(own, this.#isMended, rank !== undefined, this.#hasSettled);
  }

  /**
   * Its code is mended while nobody is at work, and operators redrive and drop dead letters until none is left.
   * @param dropProbability how likely an operator gives up what could be redriven.
   */
  mend(operators: number, dropProbability: number): void {
    this.#isMended = true;
    for (const { resources } of this.#halves) resources.checker.codeChanged();
    for (let number = 0; number < operators; number++) this.#operate(dropProbability, new Set(), []);
  }

  /** @param hopeless letters that the mended code rejects too. @param seen what an earlier listing showed. */
  #operate(dropProbability: number, hopeless: Set<string>, seen: readonly string[]): void {
    const { random, time } = this.#world;
    time.after(random() * OPERATOR_PAUSE_MS, () => {
      const listed = random() < 0.2 ? seen : [...this.letters.keys()].sort();
      const again = (): void => this.#operate(dropProbability, hopeless, listed);
      const share = random() < 0.5 ? 1 : random();
      const isDrop = random() < dropProbability;
      const picked = listed.filter(() => random() < share);
      const lost = picked.filter((name) => hopeless.has(name));
      if (picked.length === 0) again();
      else if (lost.length > 0) this.#ask('drop', lost, hopeless, again);
      else this.#ask(isDrop ? 'drop' : 'redrive', isDrop ? picked.slice(0, 1) : picked, hopeless, again);
    });
  }

  #ask(
    action: LettersRequest['action'],
    names: readonly string[],
    hopeless: Set<string>,
    again: () => void,
  ): void {
    const { random, time } = this.#world;
    const session = `s${this.#sessions++}`;
    const request = { action, names, isForced: random() < 0.3, session };
    const process = this.#idleProcess();
    const deadlineMs = time.nowMs + this.#options.timeoutMs;
    this.#begin(process, { shard: '', records: [], deadlineMs, request }, again);
    this.#world.tell(`  p${process.id} begins to ${action} ${names.join(' ')}`);
    processLetters(process.runtime, request, deadlineMs + process.skewMs).then(
      (results) => {
        if (!process.isAlive) return;
        for (const { name, outcome } of results)
          if (outcome === 'rejected' || outcome === 'stale') hopeless.add(name);
        this.#attendCheckpoint(results);
        process.invocation = undefined;
        this.#world.tell(`  p${process.id} has: ${results.map(({ outcome }) => outcome).join()}`);
        this.#world.endOf.get(process)?.({ kind: 'response', payload: {} });
      },
      (error: unknown) => this.#threw(process, error),
    );
    this.#world.started(process);
  }

  /** Letters wait for a checkpoint: where nobody goes on with it, an operator does, as the answer says. */
  #attendCheckpoint(results: readonly LetterResult[]): void {
    const waits = results.some(({ reason }) => reason?.includes('is being taken') === true);
    this.#waits = waits ? this.#waits + 1 : 0;
    if (this.#waits < PATIENCE) return;
    this.#waits = 0;
    this.#operateOn(operateCheckpoint);
  }

  /**
   * The daily sweep of spilled states comes.
   * @param aheadMs how much older than they are it takes the objects for: whatever is younger than a horizon can be
   * told by revisions alone.
   */
  sweep(aheadMs: number): void {
    const { time } = this.#world;
    const process = this.#idleProcess();
    const deadlineMs = time.nowMs + this.#options.timeoutMs;
    this.#begin(process, { shard: '', records: [], deadlineMs }, () => undefined);
    this.#world.tell(`  p${process.id} begins to sweep`);
    const { clock, program } = process.runtime;
    sweepSpilled({
      ...process.spilled,
      nowMs: clock.nowMs() + aheadMs,
      horizonSeconds: program.horizonSeconds,
      keepGoing: () => clock.nowMs() < deadlineMs,
    }).then(
      ({ removed }) => {
        if (!process.isAlive) return;
        process.invocation = undefined;
        this.#world.tell(`  p${process.id} has swept ${removed}`);
        this.#world.endOf.get(process)?.({ kind: 'response', payload: {} });
      },
      (error: unknown) => this.#threw(process, error),
    );
    this.#world.started(process);
  }

  /** The sweep comes that fires what no record fires. */
  sweepTimers(onReport?: (report: TimerSweep) => void): void {
    const { time } = this.#world;
    const process = this.#idleProcess();
    const deadlineMs = time.nowMs + this.#options.timeoutMs;
    this.#begin(process, { shard: '', records: [], deadlineMs }, () => undefined);
    this.#world.tell(`  p${process.id} begins to sweep timers`);
    const untilMs = deadlineMs + process.skewMs - DEADLINE_MARGIN_MS;
    sweepTimers(process.runtime, () => process.runtime.clock.nowMs() < untilMs).then(
      (report) => {
        if (!process.isAlive) return;
        process.invocation = undefined;
        this.#world.tell(`  p${process.id} has swept: ${JSON.stringify(report)}`);
        // What it had no time for it does not tell of.
        if (process.runtime.clock.nowMs() < untilMs) onReport?.(report);
        this.#world.endOf.get(process)?.({ kind: 'response', payload: {} });
      },
      (error: unknown) => this.#threw(process, error),
    );
    this.#world.started(process);
  }

  /** The schedule's sweeps, until one that began when nothing was left to do finds nothing. */
  #sweepOnSchedule(intervalMs: number): void {
    this.#world.time.after(intervalMs, () => {
      const { batchIntervalMs = 0 } = this.#main.program.definition.time ?? {};
      const hasSettled = this.#world.time.nowMs > this.#lastPutMs + batchIntervalMs + ARRIVAL_SLACK_MS;
      const isLast = hasSettled && this.isIdle && !this.#world.isExpecting;
      const number = ++this.#scheduledSweeps;
      const { total } = this.#world.faults;
      this.sweepTimers(({ lifted, fired, published, left }) => {
        // One in which something went wrong says nothing of what is left.
        if (number !== this.#scheduledSweeps || this.#world.faults.total !== total) return;
        const { time } = this.#main.program.definition;
        // By arrival lanes are lifted for ever, as the clock goes on.
        const isMoving = this.#waitsForClock || (time?.of !== undefined ? lifted > 0 : this.#hasTimers);
        this.#areTimersDone = isLast && !isMoving && fired + published + left === 0;
      });
      if (!this.#areTimersDone || !isLast) this.#sweepOnSchedule(intervalMs);
    });
  }

  get #waitsForClock(): boolean {
    return this.#hasItem(({ processingDueMs }) => processingDueMs !== undefined);
  }

  get #hasTimers(): boolean {
    return this.#hasItem(({ dueMs }) => dueMs !== undefined);
  }

  /** Of the generation that is at work. */
  #hasItem(isSuch: (item: StateItem) => boolean): boolean {
    const { generation } = this.#control;
    return [...this.store.items().values()].some(
      (item) => generationOf(item.pk) === generation && isSuch(item),
    );
  }

  get #control(): Control {
    const row = this.store.rows.get(CONTROL_KEY);
    return row === undefined ? FIRST_CONTROL : decodeControl(row);
  }

  /** Operators take a checkpoint, and rewind to it. */
  rewind(plan: RewindPlan): void {
    this.#operateOn((ground) => operateRewind(plan, ground));
  }

  /** Operators take a checkpoint of the other pipeline, and let this one go on from it. */
  fork(plan: ForkPlan): void {
    const { forkOf } = this.#options;
    if (forkOf === undefined) throw new Error('It is a fork of nothing.');
    this.#operateOn((ground) => operateFork(plan, forkOf.#groundOf(ground.operator), ground));
  }

  /** A rewind has made a progress row. */
  async #shardBegun(generation: number, shard: string): Promise<void> {
    const { rewind } = this.#control;
    const manifest = await this.#checkpoints.getManifest(rewind?.checkpoint ?? '');
    const row = this.store.progress(generation, shard);
    if (manifest === undefined || row === undefined) return;
    const { checker } = this.#halfOf(shard).resources;
    const source = manifest.forkedFrom === undefined ? checker : this.#options.forkOf?.checker;
    if (source !== undefined) checker.at(generation).begun(shard, row, source.at(manifest.generation));
  }

  #operateOn(operate: (ground: RewindGround) => Promise<void>): void {
    this.#operations += 1;
    const operator = this.#newProcess();
    operate(this.#groundOf(operator)).then(
      () => (this.#operations -= 1),
      (error: unknown) => {
        this.#operations -= 1;
        this.checker.violations.push(`crash [rewind] ${String(error)}`);
      },
    );
    this.#world.started(operator);
  }

  #groundOf(operator: SimulatedProcess): RewindGround {
    return {
      world: this.#world,
      operator,
      definition: this.#main.program,
      parallelizationFactor: this.#toldFactor,
      streams: this.#halves.map(({ stream }) => stream),
      relayed: this.#front?.stream,
      mapping: this.#main.mapping,
      control: () => this.#control,
      checkpoints: this.#checkpoints,
      generations: this.#generations,
      invoke: (invocation, run) => this.#invokeStep(operator, invocation, run),
      letters: this.#main.resources.letters,
      closedLetters: this.#closedLetters,
      otherChecker: this.#options.forkOf?.checker,
    };
  }

  /** An invocation for an operator. @throws an error of the world where it fails. */
  #invokeStep<T>(
    operator: SimulatedProcess,
    invocation: Omit<Invocation, 'deadlineMs'>,
    run: (process: SimulatedProcess, deadlineMs: number) => Promise<T>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const process = this.#idleProcess();
      const { time, random } = this.#world;
      const deadlineMs = time.nowMs + this.#options.timeoutMs;
      const answered: T[] = [];
      this.#begin(process, { ...invocation, deadlineMs }, (outcome) => {
        this.#world.resume(operator, time.nowMs + random() * 50, () => {
          if (outcome.kind === 'response' && answered.length > 0) resolve(answered[0] as T);
          else reject(new Error('simulated: the invocation failed'));
        });
      });
      run(process, deadlineMs + process.skewMs).then(
        (answer) => {
          if (!process.isAlive) return;
          answered.push(answer);
          process.invocation = undefined;
          this.#world.endOf.get(process)?.({ kind: 'response', payload: {} });
        },
        (error: unknown) => this.#threw(process, error),
      );
      this.#world.started(process);
    });
  }

  /** The table removes some of the items whose time is over: DynamoDB takes its time with it. */
  expire(): void {
    const world = this.#world;
    const { time, random } = world;
    for (const [pk, item] of this.store.items()) {
      if (item.expiresAtSeconds === undefined || item.expiresAtSeconds >= time.nowMs / 1_000) continue;
      if (random() < 0.3) continue;
      world.tell(`  ${pk} expires`);
      this.store.rows.delete(pk);
      this.#halfOf(laneOfItem(pk)).resources.checker.at(generationOf(pk)).expired(item);
    }
  }

  /** The mapping gives up what it waits for. */
  abandonAll(): void {
    for (const { mapping } of this.#halves) mapping.abandonAll();
  }

  /** All begins anew: the containers are gone, and the mapping goes on from what it last kept. */
  restart(): void {
    this.tellFunction(this.#toldFactor);
    for (const { mapping } of this.#halves) mapping.restart();
  }

  /** Whether a function with parallel lanes has run, and so has noted them. */
  get hasNotedLanes(): boolean {
    return this.#isNoted;
  }

  /** CloudFormation changes the function first, and the mapping minutes later. */
  tellFunction(parallelizationFactor: number): void {
    this.#toldFactor = parallelizationFactor;
    // A new configuration is a new container; who is at work goes on and is not used again.
    for (const process of this.#processes.splice(0)) {
      if (isBusy(process)) this.#retired.push(process);
      else process.isAlive = false;
    }
  }

  changeMapping(parallelizationFactor: number): void {
    const { mapping, stream } = this.#main;
    mapping.restart(this.#settings(stream, parallelizationFactor), true);
  }

  #settings(stream: MemoryStream, parallelizationFactor: number): MappingSettings {
    const { batchSize, batchingWindowMs, bisectOnError, pollIntervalMs } = this.#options;
    const { random } = this.#world;
    return {
      mappingId: 'm',
      functionArn: 'arn:aws:lambda:local:0:function:f',
      invokeIdentityArn: 'arn:aws:iam::0:role/r',
      streamArn: streamArn(stream),
      region: 'local',
      enabled: true,
      startingPosition: { kind: 'trimHorizon' },
      batchSize,
      batchingWindowMs,
      parallelizationFactor,
      bisectBatchOnFunctionError: bisectOnError,
      maximumRetryAttempts: undefined,
      maximumRecordAgeMs: undefined,
      reportBatchItemFailures: true,
      filter: undefined,
      onFailure: undefined,
      timing: {
        pollIntervalMs,
        emptyPageIntervalMs: pollIntervalMs / 2,
        listIntervalMs: 3 * pollIntervalMs,
        firstRetryDelayMs: 250,
        maximumRetryDelayMs: 5_000,
      },
      chooseBatchSize: this.#options.chooseBatchSize ?? ((maximum) => 1 + Math.floor(random() * maximum)),
    };
  }

  #invoke(half: Half, event: KinesisEvent, ended: (outcome: InvocationOutcome) => void): void {
    const { time } = this.#world;
    const process = this.#idleProcess();
    const batch = readKinesisEvent(event);
    const deadlineMs = time.nowMs + this.#options.timeoutMs;
    this.#begin(process, { shard: batch.shard, records: batch.records, deadlineMs }, ended);
    this.#world.tell(`  p${process.id} begins`);
    const runtime = half === this.#front ? (process.front as Runtime) : process.runtime;
    const run = processBatch(runtime, batch, deadlineMs + process.skewMs);
    run.then(
      ({ failedFrom }) => {
        if (!process.isAlive) return;
        process.invocation = undefined;
        const failures = failedFrom === undefined ? [] : [{ itemIdentifier: failedFrom.sequence }];
        this.#world.endOf.get(process)?.({ kind: 'response', payload: { batchItemFailures: failures } });
      },
      (error: unknown) => this.#threw(process, error),
    );
    this.#world.started(process);
  }

  /** The process is busy until it says so, dies or its time is up. */
  #begin(
    process: SimulatedProcess,
    invocation: Invocation,
    ended: (outcome: InvocationOutcome) => void,
  ): void {
    const { time } = this.#world;
    const { deadlineMs } = invocation;
    process.invocation = invocation;
    let isOver = false;
    const end = (outcome: InvocationOutcome): void => {
      if (isOver) return;
      isOver = true;
      this.#world.endOf.delete(process);
      if (process.isAlive) this.#world.tell(`  p${process.id} ends: ${JSON.stringify(outcome)}`);
      ended(outcome);
    };
    this.#world.endOf.set(process, end);
    time.at(deadlineMs, () => {
      if (process.invocation !== invocation) return;
      // A frozen process goes on when it thaws, as a zombie; any other is ended.
      if (process.frozenUntilMs <= time.nowMs) this.#world.kill(process, 'times out');
      end(failure('Sandbox.Timedout'));
    });
  }

  #threw(process: SimulatedProcess, error: unknown): void {
    if (!process.isAlive) return;
    process.invocation = undefined;
    this.#world.tell(`  p${process.id} throws ${String(error)}`);
    if (isBroken(error))
      this.checker.violations.push(`crash [${this.#main.program.definition.name}] ${String(error)}`);
    this.#world.endOf.get(process)?.(failure('Error'));
  }

  #idleProcess(): SimulatedProcess {
    const { random, faults } = this.#world;
    const living = this.#processes.filter(({ isAlive }) => isAlive);
    this.#processes.splice(0, this.#processes.length, ...living);
    const idle = living.filter((process) => !isBusy(process));
    const isMoved = living.length > 0 && faults.strikes('movedContainer', 0.3);
    const chosen = isMoved ? idle[Math.floor(random() * (idle.length + 1))] : idle[0];
    if (chosen !== undefined) return chosen;
    const coldest = idle[0];
    if (living.length >= WARM_PROCESSES && coldest !== undefined) coldest.isAlive = false;
    const process = this.#newProcess();
    this.#processes.push(process);
    return process;
  }

  #newProcess(): SimulatedProcess {
    const front = this.#front;
    const { runtime, spilled } = this.#runtime(this.#main, this.#toldFactor, () => process);
    const relay = front && this.#runtime(front, 1, () => process).runtime;
    const runtimeFor = (stream: string): Runtime => (stream === front?.stream.name && relay) || runtime;
    const process: SimulatedProcess = {
      id: this.#world.nextProcess(),
      runtime: { ...runtime, runtimeFor },
      spilled,
      front: relay,
      isAlive: true,
      frozenUntilMs: 0,
      skewMs: 0,
      invocation: undefined,
    };
    return process;
  }

  /** @param own the process, once there is one. */
  #runtime(
    { program, resources }: Half,
    parallelizationFactor: number,
    own: () => SimulatedProcess,
  ): Pick<SimulatedProcess, 'runtime' | 'spilled'> {
    const world = this.#world;
    const io = <T>(call: string, effect: () => Promise<T>): Promise<T> => world.io(own(), call, effect);
    const ports = new SimulatedPorts(world, resources, io, () => own().invocation);
    const sinks = [...program.sinks.values()].map((sink) => [sink.name, ports.sink(sink)] as const);
    const { time } = world;
    const tell = (text: string): void => world.tell(`  p${own().id} logs: ${text}`);
    const { inlineStateBytes, roomBytes } = this.#options;
    const limits = {
      ...ENGINE_LIMITS,
      ...(inlineStateBytes !== undefined && { inlineStateBytes }),
      ...(roomBytes !== undefined && { itemBytes: ITEM_RESERVE_BYTES + roomBytes }),
    };
    const runtime: Runtime = {
      program: { ...program, limits },
      store: ports.store,
      sinks: new Map(sinks),
      deadLetters: ports.deadLetters,
      closedLetters: ports.closedLetters,
      shardRanges: ports.shardRanges,
      shardRecords: ports.shardRecords,
      lookups: ports.lookups,
      lanes: ports.lanes,
      clock: { nowMs: () => time.nowMs + own().skewMs },
      wait: (ms) => new Promise((resolve) => world.resume(own(), time.nowMs + ms, resolve)),
      log: { warn: tell, error: tell },
      cache: new ItemCache(),
      parallelizationFactor,
      generation: undefined,
    };
    return { runtime, spilled: ports.spilled };
  }
}

/** Says when a rewind has made a progress row. */
class WatchedGenerations extends MemoryGenerationStore {
  readonly #onBegun: (generation: number, shard: string) => Promise<void>;

  constructor(
    store: MemoryStateStore,
    pageRows: number,
    onBegun: (generation: number, shard: string) => Promise<void>,
  ) {
    super(store, pageRows);
    this.#onBegun = onBegun;
  }

  override async changeProgress(
    ...given: Parameters<MemoryGenerationStore['changeProgress']>
  ): ReturnType<MemoryGenerationStore['changeProgress']> {
    const result = await super.changeProgress(...given);
    const [generation, shard, { kind }] = given;
    if (result === 'done' && kind === 'insert') await this.#onBegun(generation, shard);
    return result;
  }
}

function isBusy({ isAlive, invocation }: SimulatedProcess): boolean {
  return isAlive && invocation !== undefined;
}

function failure(errorType: string): InvocationOutcome {
  return { kind: 'functionError', errorType, errorMessage: errorType };
}

/** Errors of the world, and of a table that it throttles for long, are expected; any other is a defect. */
function isBroken(error: unknown): boolean {
  const message = error instanceof Error ? error.message : '';
  return !message.startsWith('simulated') && !message.endsWith('the table is throttled.');
}

function streamArn({ name }: MemoryStream): string {
  return `arn:aws:kinesis:local:0:stream/${name}`;
}
