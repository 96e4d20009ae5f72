import { Buffer } from 'node:buffer';
import type { InvocationOutcome } from '../../mapping/mapping-input.ts';
import { FaultPlan, type Fault, type FaultBudget } from './faults.ts';
import { aggregate } from '../kpl-aggregate.ts';
import type { MemoryStream, UserRecord } from './memory-stream.ts';
import { SimulatedPipeline, type SimulatedPipelineOptions } from './simulated-pipeline.ts';
import type { PlanRequest, RequestFault, RequestPlan, SimulatedProcess } from './simulated-process.ts';
import { VirtualTime } from './virtual-time.ts';

export interface WorldOptions {
  readonly random: () => number;
  readonly faults: FaultBudget;
  /** How many times likelier than usual each of them is. */
  readonly likelier?: number;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  /** Whether the story is kept: it costs time. */
  readonly isTold: boolean;
  /** Happenings after which a run is stuck; those of a small world unless given. */
  readonly happeningsLimit?: number;
  /** In place of faults by chance: how each request goes. */
  readonly planRequest?: PlanRequest;
}

/** Between two looks at whether a world is at rest. */
const REST_CHECK_MS = 500;
/** Between two looks at whether it is quiet. */
const QUIET_CHECK_MS = 100;
/** Happenings after which a run is stuck: small worlds need some thousand. */
const HAPPENINGS_LIMIT = 60_000;
/** Clocks of Lambda's hosts are kept by Amazon Time Sync; the engine allows for a second between two. */
const CLOCK_JUMP_MS = 900;
/** How long an item or a destination key is throttled at most. */
const THROTTLE_MS = 8_000;
/** For how long a process may be frozen, and a late effect may be late. */
const LONG_MS = 180_000;

/**
 * A whole deployment in one thread under virtual time: the real engine and the real mapping on memory ports. What
 * comes when is decided by the latencies that are drawn, so that the seed decides every interleaving.
 */
export class World {
  readonly time: VirtualTime;
  readonly faults: FaultPlan;
  readonly random: () => number;
  readonly story: string[] = [];
  /** How to tell a process' mapping that its invocation is over. */
  readonly endOf = new Map<SimulatedProcess, (outcome: InvocationOutcome) => void>();
  readonly #options: WorldOptions;
  readonly #pipelines: SimulatedPipeline[] = [];
  readonly #throttledUntilMs = new Map<string, number>();
  readonly #planRequest: PlanRequest;
  #processes = 0;
  #lateEffects = 0;
  #highestSkewMs = 0;
  /** Requests that have not arrived yet. */
  #onTheirWay = 0;
  /** What is still to come from outside. */
  #pending = 0;
  #requests = 0;
  #isRunning = false;
  #isBegun = false;
  #running: SimulatedProcess | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = options.random;
    this.time = new VirtualTime(options.startMs);
    this.faults = new FaultPlan(options.faults, options.random, options.likelier);
    this.#planRequest = options.planRequest ?? ((process) => this.#drawnPlan(process));
  }

  /** Requests that processes have begun. */
  get requests(): number {
    return this.#requests;
  }

  /** How far the clock of a process has ever been ahead, milliseconds. */
  get highestSkewMs(): number {
    return this.#highestSkewMs;
  }

  /** Requests of dead processes that are still on their way. */
  get lateEffects(): number {
    return this.#lateEffects;
  }

  deploy(options: SimulatedPipelineOptions): SimulatedPipeline {
    const deployed = new SimulatedPipeline(this, options);
    this.#pipelines.push(deployed);
    return deployed;
  }

  /**
   * Time passes in which nothing happens at all, as soon as nobody is at work and nothing is on its way: no process lives
   * through it.
   */
  passAtRest(durationMs: number): void {
    if (this.#lateEffects === 0 && this.#pipelines.every(({ isIdle }) => isIdle)) {
      this.tell(`${durationMs / 3_600_000} h pass`);
      this.time.pass(durationMs);
    } else if (!this.#isOver) {
      this.time.after(REST_CHECK_MS, () => this.passAtRest(durationMs));
    }
  }

  /** Whether nobody is at work and nothing is on its way, whatever is left to do. */
  get isQuiet(): boolean {
    return (
      this.#lateEffects === 0 && this.#onTheirWay === 0 && this.#pipelines.every(({ isAtWork }) => !isAtWork)
    );
  }

  /** Something happens at this moment, or as soon after it as the world is quiet; the run is not over before. */
  planWhenQuiet(atMs: number, happen: () => void): void {
    this.plan(atMs, () => {
      if (this.isQuiet) happen();
      else this.planWhenQuiet(this.time.nowMs + this.random() * QUIET_CHECK_MS, happen);
    });
  }

  /** Whether something is still to come from outside, or on its way. */
  get isExpecting(): boolean {
    return this.#pending > 0 || this.#lateEffects > 0;
  }

  /** Something happens from outside; the run is not over before. */
  plan(atMs: number, happen: () => void): void {
    this.#pending += 1;
    this.time.at(atMs, () => {
      this.#pending -= 1;
      happen();
    });
  }

  /**
   * Puts a record into a stream now.
   * @param data base64.
   * @param arrivalMs as the stream says it; drawn unless given: approximate arrival is neither exact nor monotonic.
   */
  put(
    stream: MemoryStream,
    partitionKey: string,
    data: string,
    arrivalMs = Math.round(this.time.nowMs + (this.random() - 0.5) * 2_000),
  ): void {
    const { shard, record } = stream.put(partitionKey, data, arrivalMs);
    this.tell(
      `put ${stream.name} ${shard.shardId.slice(-2)} …${record.sequenceNumber.slice(-3)} ${this.#shown(data)}`,
    );
    for (const pipeline of this.#pipelines) pipeline.recordPut(stream, shard.shardId, record);
  }

  /**
   * Puts user records as one aggregate, as the Kinesis Producer Library does that took them for records of one shard;
   * those that are not are sent again, on their own.
   */
  putAggregate(stream: MemoryStream, users: readonly UserRecord[]): void {
    const { shard, record } = stream.put(
      users[0]?.partitionKey ?? '',
      aggregate(users).toString('base64'),
      Math.round(this.time.nowMs),
    );
    this.tell(
      `put ${stream.name} ${shard.shardId.slice(-2)} …${record.sequenceNumber.slice(-3)}, ${users.length} in one`,
    );
    const own = new Map(
      [...users.entries()].filter(([, { partitionKey }]) => stream.takes(shard, partitionKey)),
    );
    for (const pipeline of this.#pipelines) pipeline.recordPut(stream, shard.shardId, record, own);
    for (const [sub, { partitionKey, data }] of users.entries()) {
      if (!own.has(sub)) this.put(stream, partitionKey, data.toString('base64'));
    }
  }

  /**
   * Runs until everything is acknowledged and nobody is at work, and checks what has become of it. May be called again
   * when more has been put.
   * @param goOn called then, once, where all is well: plans what comes next, to be run in the same way.
   * @returns the violations, of earlier runs too.
   */
  async run(goOn?: () => void): Promise<string[]> {
    if (!this.#isBegun) for (const pipeline of this.#pipelines) pipeline.start();
    this.#isBegun = true;
    const violations = await this.#untilRest();
    if (goOn === undefined || violations.length > 0) return violations;
    goOn();
    return this.#untilRest();
  }

  async #untilRest(): Promise<string[]> {
    const limit = this.#options.happeningsLimit ?? HAPPENINGS_LIMIT;
    let happenings = 0;
    for (; happenings < limit && !this.#isOver; happenings++) {
      if (!this.time.step()) break;
      if (this.#isRunning) {
        this.#isRunning = false;
        await settled();
      }
      if (happenings === limit / 2) this.faults.end();
    }
    for (const pipeline of this.#pipelines) pipeline.check();
    const violations = this.violations;
    if (happenings === limit) violations.push(`liveness: not at rest after ${limit} happenings`);
    return violations;
  }

  get violations(): string[] {
    return this.#pipelines.flatMap(({ violations }) => violations);
  }

  /** One request of a process: there, its effect, and back; each may go wrong. */
  io<T>(process: SimulatedProcess, call: string, effect: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!process.isAlive) return;
      this.#requests += 1;
      const plan = this.#planRequest(process, call);
      this.#onTheirWay += 1;
      this.time.after(plan.thereMs, () => {
        this.#onTheirWay -= 1;
        this.#arrive(process, call, plan, effect, resolve, reject);
      });
    });
  }

  #arrive<T>(
    process: SimulatedProcess,
    call: string,
    { fault, backMs }: RequestPlan,
    effect: () => Promise<T>,
    resolve: (value: T) => void,
    reject: (error: Error) => void,
  ): void {
    if (fault === 'crashBeforeEffect') {
      this.kill(process, `dies before ${call}`);
      this.#end(process);
      return;
    }
    const isDead = !process.isAlive;
    if (isDead) {
      if (!this.faults.strikes('lateEffect', 0.5)) return;
      this.#lateEffects += 1;
      this.time.after(this.random() * LONG_MS, () => {
        this.#lateEffects -= 1;
        this.tell(`  late effect of p${process.id}: ${call}`);
        this.#isRunning = true;
        effect().catch(() => undefined);
      });
      return;
    }
    if (fault === 'refusedRequest') {
      this.#answer(process, backMs, () => reject(new Error(`simulated: ${call} is refused`)));
      return;
    }
    this.#isRunning = true;
    if (fault !== 'none') this.tell(`  p${process.id} ${call}: ${fault}`);
    const afterwards = (answer: () => void): void => {
      if (fault === 'crashAfterEffect') {
        this.kill(process, `dies after ${call}`);
        this.#end(process);
      } else if (fault === 'lostAnswer') {
        this.#answer(process, backMs, () => reject(new Error(`simulated: the answer to ${call} is lost`)));
      } else if (fault === 'repeatedRequest') {
        this.time.after(backMs, () => {
          this.#isRunning = true;
          effect().then(
            (value) => this.#answer(process, backMs, () => resolve(value)),
            (error: Error) => this.#answer(process, backMs, () => reject(error)),
          );
        });
      } else this.#answer(process, backMs, answer);
    };
    effect().then(
      (value) => afterwards(() => resolve(value)),
      (error: Error) => afterwards(() => reject(error)),
    );
  }

  #answer(process: SimulatedProcess, backMs: number, answer: () => void): void {
    this.resume(process, this.time.nowMs + backMs, answer);
  }

  /** Lets a process go on at a moment; later where it is frozen, never where it is dead. */
  resume(process: SimulatedProcess, atMs: number, goOn: () => void): void {
    this.time.at(atMs, () => {
      if (!process.isAlive) return;
      if (process.frozenUntilMs > this.time.nowMs) {
        this.resume(process, process.frozenUntilMs, goOn);
        return;
      }
      this.started(process);
      goOn();
    });
  }

  /** Code of the process runs from here until the next happening. */
  started(process: SimulatedProcess): void {
    this.#running = process;
    this.#isRunning = true;
  }

  kill(process: SimulatedProcess, how: string): void {
    if (!process.isAlive) return;
    process.isAlive = false;
    this.tell(`  p${process.id} ${how}`);
  }

  /**
   * User code ends the process that runs now: it must not go on behind this call.
   * @param isLoop whether it runs on until Lambda ends it.
   */
  killRunning(isLoop: boolean): void {
    const process = this.#running;
    const isJudged = this.#pipelines.some(({ isJudging }) => isJudging);
    if (process === undefined || isJudged) return;
    this.kill(process, isLoop ? 'loops' : 'exits');
    if (!isLoop) this.#end(process);
  }

  #end(process: SimulatedProcess): void {
    const end = this.endOf.get(process);
    this.time.after(this.random() * 50, () => {
      end?.({ kind: 'functionError', errorType: 'Runtime.ExitError', errorMessage: 'exit' });
    });
  }

  /** Whether what has this name is throttled now, or becomes so. */
  isThrottled(name: string, fault: 'throttledItem' | 'throttledDestination'): boolean {
    const untilMs = this.#throttledUntilMs.get(name);
    if (untilMs !== undefined && untilMs > this.time.nowMs) return true;
    if (!this.faults.strikes(fault, 0.05)) return false;
    this.#throttledUntilMs.set(name, this.time.nowMs + this.random() * THROTTLE_MS);
    this.tell(`  ${name} is throttled`);
    return true;
  }

  nextProcess(): number {
    return this.#processes++;
  }

  tell(text: string): void {
    if (this.#options.isTold)
      this.story.push(`${((this.time.nowMs - this.#options.startMs) / 1_000).toFixed(3)} ${text}`);
  }

  #drawnPlan(process: SimulatedProcess): RequestPlan {
    const { faults, random } = this;
    if (faults.strikes('frozen', 0.02)) {
      process.frozenUntilMs = this.time.nowMs + random() * LONG_MS;
      this.tell(
        `  p${process.id} is frozen for ${Math.round((process.frozenUntilMs - this.time.nowMs) / 1_000)} s`,
      );
    }
    if (faults.strikes('clockJump', 0.02)) {
      process.skewMs = (random() - 0.5) * CLOCK_JUMP_MS;
      this.#highestSkewMs = Math.max(this.#highestSkewMs, process.skewMs);
    }
    const slow = faults.strikes('slowRequest', 0.04) ? random() * 8_000 : 0;
    return { thereMs: 1 + random() * 20 + slow, backMs: 1 + random() * 20, fault: this.#drawnFault() };
  }

  #drawnFault(): RequestFault {
    const { faults } = this;
    for (const fault of REQUEST_FAULTS) if (faults.strikes(fault, 0.03)) return fault;
    return 'none';
  }

  get #isOver(): boolean {
    return this.#pending === 0 && this.#pipelines.every(({ isAtRest }) => isAtRest);
  }

  #shown(data: string): string {
    return this.#options.isTold ? Buffer.from(data, 'base64').toString().slice(0, 120) : '';
  }
}

const REQUEST_FAULTS = [
  'crashBeforeEffect',
  'crashAfterEffect',
  'refusedRequest',
  'lostAnswer',
  'repeatedRequest',
] as const satisfies readonly (Fault & RequestFault)[];

/** Lets every promise that can go on without a request do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
