import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../../shared/time/clock.ts';
import { ChaosLedger } from './chaos-ledger.ts';
import { noFaults } from './chaos-plan.ts';
import type { ChaosPlan, FaultCounts } from './chaos-plan.ts';
import { ExecutionEnvironment } from './execution-environment.ts';
import { MAXIMUM_MEMORY_MB, MAXIMUM_TIMEOUT_SECONDS, MINIMUM_MEMORY_MB } from './function-configuration.ts';
import type { FunctionConfiguration } from './function-configuration.ts';
import type { InvocationOutcome } from './invocation-outcome.ts';
import { startOrphanGuard } from './orphan-guard.ts';
import type { OrphanGuard } from './orphan-guard.ts';
import { MAXIMUM_REQUEST_BYTES } from './payload-limits.ts';
import { systemTimer } from '../timer.ts';
import type { Timer } from '../timer.ts';

export interface LocalLambdaOptions {
  readonly functions: readonly FunctionConfiguration[];
  /** The real clock outside of tests: a deadline is compared with the clock of the function's own process. */
  readonly clock: Clock;
  /** Processes at the same time, of all functions together; an invocation beyond them waits. Zombies count apart. */
  readonly maximumEnvironments: number;
  /** A line that a function has written, or that Lambda writes into its log; without the line's end. */
  readonly onLog: (line: string, functionName: string) => void;
  readonly chaos?: ChaosPlan;
  /** Fires timeouts and late replies. */
  readonly timer?: Timer;
  readonly newRequestId?: () => string;
}

export interface LambdaFigures {
  /** Invocations that have begun. */
  readonly invocations: number;
  /** Of those that are over, the ones that ended in an error. */
  readonly functionErrors: number;
  readonly timeouts: number;
  readonly coldStarts: number;
  /** Warm environments that made room for another function. */
  readonly evictions: number;
  /** Processes that live now, zombies among them. */
  readonly environments: number;
  readonly zombies: number;
  /** Invocations that wait for an environment. */
  readonly waiting: number;
  /** Processes that chaos has killed; those that it froze until their timeout are among the timeouts. */
  readonly kills: number;
  readonly faults: FaultCounts;
  /** How many of the faults struck a request to S3. */
  readonly objectFaults: number;
}

export interface LocalLambda {
  /**
   * Runs a function on an event and waits for what comes of it.
   * @throws RangeError where the event is larger than MAXIMUM_REQUEST_BYTES, as Lambda's
   * RequestTooLargeException; where there is no such function; after `close`.
   */
  invoke(functionName: string, event: unknown): Promise<InvocationOutcome>;
  /** Kills every environment. Resolves when no process and no port is left; what still waits is rejected. */
  close(): Promise<void>;
  figures(): LambdaFigures;
}

/**
 * Lambda on this machine: every environment is a process of its own, which learns of events from the Runtime API.
 * @throws RangeError where a function is configured as Lambda would not have it.
 */
export async function startLambda(options: LocalLambdaOptions): Promise<LocalLambda> {
  if (!Number.isInteger(options.maximumEnvironments) || options.maximumEnvironments < 1) {
    throw new RangeError(
      `maximumEnvironments is ${options.maximumEnvironments}; give a whole number from 1.`,
    );
  }
  const configurations = new Map<string, FunctionConfiguration>();
  for (const configuration of options.functions) {
    checkConfiguration(configuration);
    if (configurations.has(configuration.name)) {
      throw new RangeError(`Two functions are named ${configuration.name}; a name is unique in a region.`);
    }
    configurations.set(configuration.name, configuration);
  }
  return new EnvironmentPool(configurations, options);
}

interface Job {
  readonly configuration: FunctionConfiguration;
  readonly payload: string;
  readonly resolve: (outcome: InvocationOutcome) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly configuration: FunctionConfiguration;
  readonly environment: ExecutionEnvironment;
  isZombie: boolean;
  /** It was told to make room and has not gone yet. */
  isLeaving: boolean;
}

interface HeldZombie {
  readonly functionName: string;
  remainingInvocations: number;
  readonly resume: () => void;
}

/** Gives each invocation an environment: a warm one, the last used first; else a new one; else it waits. */
class EnvironmentPool implements LocalLambda {
  readonly #configurations: ReadonlyMap<string, FunctionConfiguration>;
  readonly #options: LocalLambdaOptions;
  readonly #timer: Timer;
  readonly #newRequestId: () => string;
  readonly #guard: OrphanGuard;
  readonly #chaos: ChaosLedger | undefined;
  readonly #members = new Set<Member>();
  /** The last used is at the end. */
  readonly #idle: Member[] = [];
  readonly #waiting: Job[] = [];
  readonly #invocationsByFunction = new Map<string, number>();
  #heldZombies: HeldZombie[] = [];
  #functionErrors = 0;
  #timeouts = 0;
  #coldStarts = 0;
  #evictions = 0;
  #isClosed = false;

  constructor(configurations: ReadonlyMap<string, FunctionConfiguration>, options: LocalLambdaOptions) {
    this.#configurations = configurations;
    this.#options = options;
    this.#timer = options.timer ?? systemTimer;
    this.#newRequestId = options.newRequestId ?? randomUUID;
    this.#chaos = options.chaos && new ChaosLedger(options.chaos);
    this.#guard = startOrphanGuard(process.platform);
  }

  async invoke(functionName: string, event: unknown): Promise<InvocationOutcome> {
    const configuration = this.#configurations.get(functionName);
    if (configuration === undefined) {
      const known = [...this.#configurations.keys()].join(', ') || 'none';
      throw new RangeError(
        `There is no function named ${JSON.stringify(functionName)}; there are: ${known}.`,
      );
    }
    const payload = JSON.stringify(event) ?? 'null';
    const bytes = Buffer.byteLength(payload);
    if (bytes > MAXIMUM_REQUEST_BYTES) {
      throw new RangeError(
        `The event for ${functionName} has ${bytes} bytes; a synchronous invocation takes at most ${MAXIMUM_REQUEST_BYTES}. Send less at a time.`,
      );
    }
    if (this.#isClosed) throw closedError(functionName);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ configuration, payload, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#waiting.splice(0)) job.reject(closedError(job.configuration.name));
    const gone = [...this.#members].map(({ environment }) => {
      environment.kill();
      return environment.gone;
    });
    this.#resumeZombies(this.#heldZombies);
    await Promise.all(gone);
    await this.#guard.close();
  }

  figures(): LambdaFigures {
    const faults: FaultCounts = this.#chaos?.counts ?? noFaults();
    return {
      invocations: [...this.#invocationsByFunction.values()].reduce((sum, count) => sum + count, 0),
      functionErrors: this.#functionErrors,
      timeouts: this.#timeouts,
      coldStarts: this.#coldStarts,
      evictions: this.#evictions,
      environments: this.#members.size,
      zombies: this.#zombieCount(),
      waiting: this.#waiting.length,
      kills:
        faults.killBeforeForward + faults.killBeforeReply + faults.killAfterReply + faults.killBeforeAnswer,
      faults: { ...faults },
      objectFaults: this.#chaos?.objectFaults ?? 0,
    };
  }

  #dispatch(): void {
    for (let job = this.#waiting[0]; job !== undefined; job = this.#waiting[0]) {
      const member = this.#takeWarm(job.configuration) ?? this.#startCold(job.configuration);
      if (member === undefined) return;
      this.#waiting.shift();
      void this.#run(job, member);
    }
  }

  async #run(job: Job, member: Member): Promise<void> {
    const { name } = job.configuration;
    const number = (this.#invocationsByFunction.get(name) ?? 0) + 1;
    this.#invocationsByFunction.set(name, number);
    try {
      const outcome = await member.environment.invoke({
        requestId: this.#newRequestId(),
        payload: job.payload,
        number,
      });
      if (outcome.kind === 'functionError') this.#functionErrors += 1;
      this.#countDownZombies(name, member);
      job.resolve(outcome);
    } catch (error) {
      job.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #takeWarm(configuration: FunctionConfiguration): Member | undefined {
    const index = this.#idle.findLastIndex((member) => member.configuration === configuration);
    return index === -1 ? undefined : this.#idle.splice(index, 1)[0];
  }

  #startCold(configuration: FunctionConfiguration): Member | undefined {
    if (this.#members.size - this.#zombieCount() >= this.#options.maximumEnvironments) {
      // The end of one that leaves comes back here, with a place for the invocation that waits.
      const isPlaceComing = [...this.#members].some(({ isLeaving }) => isLeaving);
      const leastRecent = isPlaceComing ? undefined : this.#idle.shift();
      if (leastRecent !== undefined) {
        this.#evictions += 1;
        leastRecent.isLeaving = true;
        leastRecent.environment.kill();
      }
      return undefined;
    }
    this.#coldStarts += 1;
    const number = this.#coldStarts;
    const day = new Date(this.#options.clock.nowMs()).toISOString().slice(0, 10).replaceAll('-', '/');
    const logStreamName = `${day}/[$LATEST]${number.toString(16).padStart(32, '0')}`;
    const environment = new ExecutionEnvironment(configuration, logStreamName, {
      clock: this.#options.clock,
      timer: this.#timer,
      guard: this.#guard,
      platform: process.platform,
      path: process.env['PATH'] ?? '',
      chaos: this.#chaos,
      onLog: (line) => this.#options.onLog(line, configuration.name),
      onIdle: () => this.#onIdle(member),
      onGone: () => this.#onGone(member),
      onTimeout: () => {
        this.#timeouts += 1;
      },
      onZombie: (resumeAfterInvocations) => this.#onZombie(member, resumeAfterInvocations),
    });
    const member: Member = { configuration, environment, isZombie: false, isLeaving: false };
    this.#members.add(member);
    void environment.start();
    return member;
  }

  #onIdle(member: Member): void {
    member.isZombie = false;
    // A zombie that has come to its end may be one environment too many.
    if (this.#members.size - this.#zombieCount() > this.#options.maximumEnvironments)
      member.environment.kill();
    else this.#idle.push(member);
    this.#dispatch();
  }

  #onGone(member: Member): void {
    this.#members.delete(member);
    const index = this.#idle.indexOf(member);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#dispatch();
  }

  #onZombie(member: Member, resumeAfterInvocations: number): Promise<void> {
    member.isZombie = true;
    const resumed =
      resumeAfterInvocations === 0
        ? Promise.resolve()
        : new Promise<void>((resume) => {
            this.#heldZombies.push({
              functionName: member.configuration.name,
              remainingInvocations: resumeAfterInvocations,
              resume,
            });
          });
    this.#dispatch();
    return resumed;
  }

  /** An invocation of the function is over; the zombie's own, which has just been given up, does not count. */
  #countDownZombies(functionName: string, member: Member): void {
    if (member.isZombie) return;
    for (const zombie of this.#heldZombies) {
      if (zombie.functionName === functionName) zombie.remainingInvocations -= 1;
    }
    this.#resumeZombies(this.#heldZombies.filter(({ remainingInvocations }) => remainingInvocations <= 0));
  }

  #resumeZombies(zombies: readonly HeldZombie[]): void {
    this.#heldZombies = this.#heldZombies.filter((zombie) => !zombies.includes(zombie));
    for (const zombie of zombies) zombie.resume();
  }

  #zombieCount(): number {
    let count = 0;
    for (const member of this.#members) if (member.isZombie) count += 1;
    return count;
  }
}

function closedError(functionName: string): RangeError {
  return new RangeError(`${functionName} was not invoked: Lambda on this machine is closed.`);
}

function checkConfiguration(configuration: FunctionConfiguration): void {
  const { name, codeDirectory, timeoutSeconds, memoryMb } = configuration;
  const check = (isRight: boolean, what: string): void => {
    if (!isRight) throw new RangeError(`Function ${name}: ${what}`);
  };
  check(
    Number.isInteger(timeoutSeconds) && timeoutSeconds >= 1 && timeoutSeconds <= MAXIMUM_TIMEOUT_SECONDS,
    `timeoutSeconds is ${timeoutSeconds}; Lambda takes whole seconds from 1 to ${MAXIMUM_TIMEOUT_SECONDS}.`,
  );
  check(
    Number.isInteger(memoryMb) && memoryMb >= MINIMUM_MEMORY_MB && memoryMb <= MAXIMUM_MEMORY_MB,
    `memoryMb is ${memoryMb}; Lambda takes whole megabytes from ${MINIMUM_MEMORY_MB} to ${MAXIMUM_MEMORY_MB}.`,
  );
  check(
    path.isAbsolute(codeDirectory) &&
      statSync(codeDirectory, { throwIfNoEntry: false })?.isDirectory() === true,
    `codeDirectory is ${codeDirectory}; give the absolute path of the directory that holds the bundle.`,
  );
}
