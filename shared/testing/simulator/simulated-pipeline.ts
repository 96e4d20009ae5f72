import { ItemCache } from '../../engine/item-cache.ts';
import { ENGINE_LIMITS } from '../../engine/limits.ts';
import { processBatch } from '../../engine/process-batch.ts';
import { programOf, type Program } from '../../engine/program.ts';
import { processLetters, type LettersRequest } from '../../engine/redrive.ts';
import type { RedriveRuntime } from '../../engine/runtime.ts';
import type { InvocationOutcome } from '../../mapping/mapping-input.ts';
import type { KinesisEvent } from '../../mapping/kinesis-event.ts';
import type { MappingSettings } from '../../mapping/mapping-settings.ts';
import type { StreamRecord } from '../../mapping/stream-record.ts';
import type { DeadLetter } from '../../output/dead-letter-store.ts';
import { MemoryDeadLetterStore } from '../../output/memory-dead-letters.ts';
import type { Pipeline } from '../../pipeline/definition.ts';
import { readKinesisEvent } from '../../source/kinesis-event.ts';
import { shardLane } from '../../source/lane.ts';
import { MemoryBlobStore } from '../../state/memory-blob-store.ts';
import { MemoryStateStore } from '../../state/memory-state-store.ts';
import { Checker } from './checker.ts';
import type { MemoryStream, UserRecord } from './memory-stream.ts';
import { SimulatedMapping } from './simulated-mapping.ts';
import { SimulatedPorts, wholeItem, type PipelineResources } from './simulated-ports.ts';
import type { Invocation, SimulatedProcess } from './simulated-process.ts';
import type { World } from './world.ts';

export interface SimulatedPipelineOptions {
  readonly pipeline: Pipeline;
  readonly stream: MemoryStream;
  /** By sink: the stream that it feeds; a sink without one is only watched. */
  readonly sinkStreams?: ReadonlyMap<string, MemoryStream>;
  readonly batchSize: number;
  readonly batchingWindowMs: number;
  readonly parallelizationFactor: number;
  readonly bisectOnError: boolean;
  readonly timeoutMs: number;
  /** States beyond so many bytes are spilled; as on AWS unless given. */
  readonly inlineStateBytes?: number | undefined;
  /** Deliveries that a sink takes in a request. */
  readonly sinkRequestSize: number;
  readonly parentsFirst: boolean;
  /** Between two reads of a shard that has nothing more to give, milliseconds. */
  readonly pollIntervalMs: number;
  /** In place of chance: how many records the next batch has. */
  readonly chooseBatchSize?: (maximum: number) => number;
}

const HOUR_MS = 3_600_000;
/** Between two requests of an operator. */
const OPERATOR_PAUSE_MS = 8_000;
/** Containers that are kept warm. */
const WARM_PROCESSES = 3;

/** One deployed pipeline: function, table, dead letters, sinks and mapping, with a checker that watches them. */
export class SimulatedPipeline {
  readonly checker: Checker;
  readonly store = new MemoryStateStore();
  readonly letters = new Map<string, DeadLetter>();
  readonly #world: World;
  readonly #options: SimulatedPipelineOptions;
  readonly #program: Program;
  readonly #resources: PipelineResources;
  readonly #mapping: SimulatedMapping;
  readonly #processes: SimulatedProcess[] = [];
  /** At work with a configuration of before. */
  readonly #retired: SimulatedProcess[] = [];
  /** What the function is told; changed minutes before the mapping is. */
  #toldFactor: number;
  /** Whether the table says that lanes are by partition key. */
  #isNoted = false;
  #isMended = false;
  #sessions = 0;

  constructor(world: World, options: SimulatedPipelineOptions) {
    const { pipeline, stream, parallelizationFactor, parentsFirst } = options;
    this.#world = world;
    this.#options = options;
    this.#program = programOf(pipeline.definition);
    this.#toldFactor = parallelizationFactor;
    const { time, faults, random } = world;
    const { chained } = pipeline.definition.source;
    const upstreamRetentionMs = (chained?.upstreamRetentionHours ?? 0) * HOUR_MS;
    this.checker = new Checker({
      definition: pipeline.definition,
      isOrdered: parentsFirst,
      parallelizationFactor,
      isWithinRetention: ({ arrivalMs }) =>
        arrivalMs >= time.nowMs - stream.retentionMs - upstreamRetentionMs,
    });
    this.#resources = {
      name: pipeline.definition.name,
      stream,
      store: this.store,
      blobs: new MemoryBlobStore(),
      letters: new MemoryDeadLetterStore(() => time.nowMs, this.letters),
      closedLetters: new MemoryDeadLetterStore(() => time.nowMs),
      checker: this.checker,
      sinkStreams: options.sinkStreams ?? new Map(),
      sinkRequestSize: options.sinkRequestSize,
      onLanesNoted: () => (this.#isNoted = true),
    };
    this.#mapping = new SimulatedMapping({
      stream,
      settings: this.#settings(parallelizationFactor),
      parentsFirst,
      time,
      faults,
      random,
      invoke: (event, ended) => this.#invoke(event, ended),
      acknowledged: (shardId, records) => {
        const shard = shardLane(stream.name, shardId);
        this.checker.acknowledged(
          shard,
          records.map(({ sequenceNumber }) => sequenceNumber),
        );
      },
      tell: (text) => world.tell(`${pipeline.definition.name}: ${text}`),
    });
  }

  get stream(): MemoryStream {
    return this.#options.stream;
  }

  start(): void {
    this.#mapping.start();
  }

  /**
   * A record stands in the source stream.
   * @param users what it holds where it is an aggregate: those that are the shard's, by their number in it.
   */
  recordPut(shardId: string, record: StreamRecord, users?: ReadonlyMap<number, UserRecord>): void {
    const event = {
      Records: [
        {
          eventSource: 'aws:kinesis',
          eventID: `${shardId}:${record.sequenceNumber}`,
          eventSourceARN: streamArn(this.stream),
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
      if (users === undefined) this.checker.recordPut(each, shard);
      for (const [sub, { partitionKey, data }] of users ?? []) {
        const position = { ...each.position, sub };
        this.checker.recordPut(
          { ...each, position, partitionKey, deliveryKey: each.partitionKey, data: data.toString('base64') },
          shard,
        );
      }
    }
  }

  /** Whether nothing is left to do and nobody is at work. */
  get isAtRest(): boolean {
    const areLettersGone = !this.#isMended || (this.letters.size === 0 && this.#world.lateEffects === 0);
    return (
      areLettersGone &&
      this.checker.areAllAcknowledged &&
      ![...this.#processes, ...this.#retired].some(isBusy)
    );
  }

  check(): void {
    const items = [...this.store.items()].map(
      ([pk, item]) => [pk, wholeItem(this.#resources, item)] as const,
    );
    this.checker.atRest(new Map(items), this.#isMended);
  }

  /**
   * Its code is mended while nobody is at work, and operators redrive and drop dead letters until none is left.
   * @param dropProbability how likely an operator gives up what could be redriven.
   */
  mend(operators: number, dropProbability: number): void {
    this.#isMended = true;
    // What new code makes of a record that old code has rejected is not known to its keys' marks.
    this.#mapping.keep();
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
        for (const { name, outcome } of results) if (outcome === 'rejected') hopeless.add(name);
        process.invocation = undefined;
        this.#world.tell(`  p${process.id} has: ${results.map(({ outcome }) => outcome).join()}`);
        this.#world.endOf.get(process)?.({ kind: 'response', payload: {} });
      },
      (error: unknown) => this.#threw(process, error),
    );
    this.#world.started(process);
  }

  /** The mapping gives up what it waits for. */
  abandonAll(): void {
    this.#mapping.abandonAll();
  }

  /** Whether a function with parallel lanes has come so far as to note them. */
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
    this.#mapping.restart(this.#settings(parallelizationFactor), true);
  }

  #settings(parallelizationFactor: number): MappingSettings {
    const { stream, batchSize, batchingWindowMs, bisectOnError, pollIntervalMs } = this.#options;
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

  #invoke(event: KinesisEvent, ended: (outcome: InvocationOutcome) => void): void {
    const { time } = this.#world;
    const process = this.#idleProcess();
    const batch = readKinesisEvent(event);
    const deadlineMs = time.nowMs + this.#options.timeoutMs;
    this.#begin(process, { shard: batch.shard, records: batch.records, deadlineMs }, ended);
    this.#world.tell(`  p${process.id} begins`);
    const run = processBatch(process.runtime, batch, deadlineMs + process.skewMs);
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
      this.checker.violations.push(`crash [${this.#program.definition.name}] ${String(error)}`);
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
    const world = this.#world;
    const { pipeline } = this.#options;
    const io = <T>(call: string, effect: () => Promise<T>): Promise<T> => world.io(process, call, effect);
    const ports = new SimulatedPorts(world, this.#resources, io, () => process.invocation);
    const sinks = [...this.#program.sinks.values()].map((sink) => [sink.name, ports.sink(sink)] as const);
    const { time } = world;
    const tell = (text: string): void => world.tell(`  p${process.id} logs: ${text}`);
    const runtime: RedriveRuntime = {
      program: programOf(pipeline.definition, {
        ...ENGINE_LIMITS,
        inlineStateBytes: this.#options.inlineStateBytes ?? ENGINE_LIMITS.inlineStateBytes,
      }),
      store: ports.store,
      sinks: new Map(sinks),
      deadLetters: ports.deadLetters,
      closedLetters: ports.closedLetters,
      shardRanges: ports.shardRanges,
      clock: { nowMs: () => time.nowMs + process.skewMs },
      wait: (ms) => new Promise((resolve) => world.resume(process, time.nowMs + ms, resolve)),
      log: { warn: tell, error: tell },
      cache: new ItemCache(),
      parallelizationFactor: this.#toldFactor,
      generation: undefined,
    };
    const process: SimulatedProcess = {
      id: world.nextProcess(),
      runtime,
      isAlive: true,
      frozenUntilMs: 0,
      skewMs: 0,
      invocation: undefined,
    };
    return process;
  }
}

function isBusy({ isAlive, invocation }: SimulatedProcess): boolean {
  return isAlive && invocation !== undefined;
}

function failure(errorType: string): InvocationOutcome {
  return { kind: 'functionError', errorType, errorMessage: errorType };
}

/** Errors of the world are expected; any other is a defect. */
function isBroken(error: unknown): boolean {
  return !(error instanceof Error && error.message.startsWith('simulated'));
}

function streamArn({ name }: MemoryStream): string {
  return `arn:aws:kinesis:local:0:stream/${name}`;
}
