import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../../shared/time/clock.ts';
import type { ChaosLedger } from './chaos-ledger.ts';
import { startChaosProxy } from './chaos-proxy.ts';
import type { ChaosVictim } from './chaos-proxy.ts';
import { environmentVariables } from './environment-variables.ts';
import { exitReason } from './exit-reason.ts';
import type { FunctionConfiguration } from './function-configuration.ts';
import type { InvocationOutcome } from './invocation-outcome.ts';
import { readLogLines } from './log-lines.ts';
import type { OrphanGuard } from './orphan-guard.ts';
import { MAXIMUM_RESPONSE_BYTES } from './payload-limits.ts';
import { startRuntimeApi } from './runtime-api.ts';
import type { NextEvent, Reception, ReportedError, RuntimeApiListener } from './runtime-api.ts';
import type { Timer } from '../timer.ts';

/**
 * How long a runtime may take until it asks for its first event; the function's timeout where that is longer.
 * "Lambda runtime environment", Init phase, in the Lambda developer guide.
 */
export const INIT_TIMEOUT_MS = 10_000;

/** Shares of the function's memory that Lambda's start script gives to V8, in percent. */
const OLD_SPACE_PERCENT = 90;
const SEMI_SPACE_PERCENT = 5;

/** The bootstrap ends the log of an invocation on standard output and on standard error. */
const MARKERS_PER_INVOCATION = 2;

const BOOTSTRAP = fileURLToPath(new URL('./bootstrap.mjs', import.meta.url));

export interface Invocation {
  readonly requestId: string;
  /** The event, JSON. */
  readonly payload: string;
  /** Its number among those of its function, from 1. */
  readonly number: number;
}

/** What an environment needs of its surroundings, and whom it tells what becomes of it. */
export interface EnvironmentSurroundings {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly guard: OrphanGuard;
  readonly platform: NodeJS.Platform;
  readonly path: string;
  readonly chaos: ChaosLedger | undefined;
  onLog(line: string): void;
  /** It is warm and free for another invocation. */
  onIdle(): void;
  /** Its process and its ports are gone. */
  onGone(): void;
  onTimeout(): void;
  /** Its caller has been told a failure and it goes on; resolves after so many further invocations. */
  onZombie(resumeAfterInvocations: number): Promise<void>;
}

interface Running {
  readonly invocation: Invocation;
  readonly resolve: (outcome: InvocationOutcome) => void;
  readonly reject: (error: Error) => void;
  startedMs: number;
  isDelivered: boolean;
  answer: InvocationOutcome | undefined;
  markers: number;
  requests: number;
  cancelTimeout: () => void;
}

/** One process that runs one function, one invocation at a time; between two of them it is frozen. */
export class ExecutionEnvironment {
  readonly #configuration: FunctionConfiguration;
  readonly #surroundings: EnvironmentSurroundings;
  readonly #logStreamName: string;
  readonly #closers: (() => Promise<void>)[] = [];
  /** Resolves when the process and the ports are gone, however that came. */
  readonly gone: Promise<void>;
  #resolveGone = (): void => {};
  #child: ChildProcess | undefined;
  #deliver: ((event: NextEvent) => void) | undefined;
  #running: Running | undefined;
  #initError: ReportedError | undefined;
  #spawnError: Error | undefined;
  #isKilled = false;
  #isTimedOut = false;
  /** It stands still, and nothing but its timeout changes that. */
  #isFrozenForGood = false;
  /** Where it stands still beyond its timeout: after how many further invocations it goes on. */
  #resumeAfterTimeout: number | undefined;
  /** Its caller was told that it timed out, and it lives. */
  #hasOutlivedTimeout = false;
  #isFinished = false;
  #cancelInitTimeout = (): void => {};
  #cancelThaw = (): void => {};

  constructor(
    configuration: FunctionConfiguration,
    logStreamName: string,
    surroundings: EnvironmentSurroundings,
  ) {
    this.#configuration = configuration;
    this.#logStreamName = logStreamName;
    this.#surroundings = surroundings;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
  }

  /** Starts the process. What fails here fails the invocation that waits for it. */
  async start(): Promise<void> {
    try {
      const api = await startRuntimeApi(this.#runtimeApiListener());
      this.#closers.push(() => api.close());
      const endpoints = await this.#startProxies();
      if (this.#isKilled) await this.#finish(null, 'SIGKILL');
      else
        this.#spawn({
          ...environmentVariables(this.#configuration, {
            runtimeApi: api.address,
            logStreamName: this.#logStreamName,
            path: this.#surroundings.path,
          }),
          ...endpoints,
        });
    } catch (error) {
      this.#spawnError = error instanceof Error ? error : new Error(String(error));
      await this.#finish(null, null);
    }
  }

  /**
   * Runs one invocation, as soon as the runtime is ready for it.
   * @throws Error when the process cannot be started at all.
   */
  invoke(invocation: Invocation): Promise<InvocationOutcome> {
    if (this.#running)
      throw new Error(`An environment of ${this.#configuration.name} was given two invocations at once.`);
    return new Promise((resolve, reject) => {
      this.#running = {
        invocation,
        resolve,
        reject,
        startedMs: this.#surroundings.clock.nowMs(),
        isDelivered: false,
        answer: undefined,
        markers: 0,
        requests: 0,
        cancelTimeout: () => {},
      };
      this.#deliverWhenReady();
    });
  }

  /** Ends the process at once, whatever it does. */
  kill(): void {
    this.#isKilled = true;
    this.#signal('SIGKILL');
  }

  get #hasProcessGroup(): boolean {
    return this.#surroundings.platform !== 'win32';
  }

  async #startProxies(): Promise<Record<string, string>> {
    const { chaos, timer } = this.#surroundings;
    if (chaos === undefined) return {};
    const endpoints: Record<string, string> = {};
    for (const [name, value] of Object.entries(this.#configuration.environment)) {
      if (!name.startsWith('AWS_ENDPOINT_URL')) continue;
      const proxy = await startChaosProxy(new URL(value), this.#victim(chaos), timer);
      this.#closers.push(() => proxy.close());
      endpoints[name] = proxy.url;
    }
    return endpoints;
  }

  #spawn(environment: Record<string, string>): void {
    const { memoryMb, codeDirectory, timeoutSeconds } = this.#configuration;
    const child = spawn(
      process.execPath,
      [
        `--max-old-space-size=${Math.floor((memoryMb * OLD_SPACE_PERCENT) / 100)}`,
        `--max-semi-space-size=${Math.max(1, Math.floor((memoryMb * SEMI_SPACE_PERCENT) / 100))}`,
        '--enable-source-maps',
        BOOTSTRAP,
      ],
      {
        cwd: codeDirectory,
        env: environment,
        stdio: ['ignore', 'pipe', 'pipe'],
        // A process group of its own: Ctrl-C in the terminal is for us alone, and what the function starts is
        // frozen and killed with it.
        detached: this.#hasProcessGroup,
      },
    );
    this.#child = child;
    if (child.pid !== undefined) this.#surroundings.guard.watch(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      readLogLines(
        stream,
        (line) => this.#surroundings.onLog(line),
        (requestId) => this.#onMarker(requestId),
      );
    }
    child.once('error', (error) => {
      this.#spawnError = error;
      if (child.pid === undefined) void this.#finish(null, null);
    });
    // What the function has started may hold our pipes open, and so keep `close` away.
    child.once('exit', () => this.#signal('SIGKILL'));
    child.once('close', (status, signal) => void this.#finish(status, signal));
    this.#cancelInitTimeout = this.#surroundings.timer.schedule(
      Math.max(INIT_TIMEOUT_MS, timeoutSeconds * 1000),
      () => this.#timeOut(),
    );
  }

  #runtimeApiListener(): RuntimeApiListener {
    return {
      next: (deliver) => {
        this.#cancelInitTimeout();
        this.#deliver = deliver;
        this.#completeWhenDone();
        this.#deliverWhenReady();
      },
      response: (requestId, payload) => this.#onResponse(requestId, payload),
      error: (requestId, error) =>
        this.#onAnswer(requestId, (durationMs) => ({
          kind: 'functionError',
          errorType: error.errorType,
          errorMessage: error.errorMessage,
          requestId,
          durationMs,
        })),
      initError: (error) => {
        this.#initError = error;
      },
    };
  }

  #deliverWhenReady(): void {
    const { clock, timer } = this.#surroundings;
    const running = this.#running;
    if (running === undefined || running.isDelivered || this.#deliver === undefined) return;
    const timeoutMs = this.#configuration.timeoutSeconds * 1000;
    running.isDelivered = true;
    running.startedMs = clock.nowMs();
    running.cancelTimeout = timer.schedule(timeoutMs, () => this.#timeOut());
    const deliver = this.#deliver;
    this.#deliver = undefined;
    this.#signal('SIGCONT');
    deliver({
      requestId: running.invocation.requestId,
      payload: running.invocation.payload,
      deadlineMs: running.startedMs + timeoutMs,
      functionArn: this.#configuration.arn,
      traceId: traceId(running.startedMs, running.invocation.requestId),
    });
  }

  #onResponse(requestId: string, payload: string | undefined): Reception {
    return this.#onAnswer(requestId, (durationMs) => {
      if (payload !== undefined) {
        try {
          return { kind: 'response', payload: JSON.parse(payload) as unknown, requestId, durationMs };
        } catch {
          return {
            kind: 'functionError',
            errorType: 'Runtime.InvalidResponse',
            errorMessage: `The runtime answered ${requestId} with what is not JSON.`,
            requestId,
            durationMs,
          };
        }
      }
      return {
        kind: 'functionError',
        errorType: 'Function.ResponseSizeTooLarge',
        errorMessage: `Response payload size exceeded maximum allowed payload size (${MAXIMUM_RESPONSE_BYTES} bytes).`,
        requestId,
        durationMs,
      };
    });
  }

  #onAnswer(requestId: string, outcome: (durationMs: number) => InvocationOutcome): Reception {
    const running = this.#running;
    if (this.#isKilled) return 'ignored';
    if (running?.invocation.requestId !== requestId || running.answer !== undefined) return 'unknownRequest';
    const fault = this.#surroundings.chaos?.atAnswer({
      functionName: this.#configuration.name,
      invocation: running.invocation.number,
    });
    if (fault?.kind === 'killBeforeAnswer') {
      this.kill();
      return 'ignored';
    }
    const durationMs = this.#surroundings.clock.nowMs() - running.startedMs;
    running.answer = fault?.kind === 'loseAnswer' ? callerGaveUp(requestId, durationMs) : outcome(durationMs);
    return 'accepted';
  }

  #onMarker(requestId: string): void {
    if (this.#running?.invocation.requestId !== requestId) return;
    this.#running.markers += 1;
    this.#completeWhenDone();
  }

  /**
   * An invocation is over when the runtime has answered, has asked for the next event, and all that it wrote has
   * been read. Only then is it safe to freeze the process: nothing of it is on its way any more.
   */
  #completeWhenDone(): void {
    const running = this.#running;
    if (running?.answer === undefined || this.#deliver === undefined) return;
    if (running.markers < MARKERS_PER_INVOCATION || this.#isKilled) return;
    running.cancelTimeout();
    this.#cancelThaw();
    // Lambda uses no environment again that has timed out.
    if (this.#hasOutlivedTimeout) return this.kill();
    this.#running = undefined;
    this.#signal('SIGSTOP');
    running.resolve(running.answer);
    this.#surroundings.onIdle();
  }

  #timeOut(): void {
    if (this.#running !== undefined && this.#resumeAfterTimeout !== undefined && !this.#hasOutlivedTimeout)
      return this.#outliveTimeout(this.#running, this.#resumeAfterTimeout);
    this.#isTimedOut = true;
    this.kill();
  }

  /** The caller learns of the timeout, and the process wakes up when it is taken for dead; for as long as a timeout. */
  #outliveTimeout(running: Running, resumeAfterInvocations: number): void {
    const { timer } = this.#surroundings;
    this.#hasOutlivedTimeout = true;
    const resumed = this.#surroundings.onZombie(resumeAfterInvocations);
    running.resolve(this.#timedOut(running));
    void resumed.then(() => {
      if (this.#isFinished) return;
      running.cancelTimeout = timer.schedule(this.#configuration.timeoutSeconds * 1000, () => this.kill());
      this.#signal('SIGCONT');
    });
  }

  #signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    if (!this.#hasProcessGroup) {
      if (signal === 'SIGKILL') this.#child?.kill(signal);
      return;
    }
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // The process has ended by itself, and its end is about to be told. (macOS says EPERM of such a group.)
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
    }
  }

  async #finish(status: number | null, signal: NodeJS.Signals | null): Promise<void> {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#isKilled = true;
    this.#cancelInitTimeout();
    this.#cancelThaw();
    if (this.#child?.pid !== undefined) this.#surroundings.guard.forget(this.#child.pid);
    const running = this.#running;
    this.#running = undefined;
    running?.cancelTimeout();
    await Promise.all(this.#closers.map((close) => close()));
    this.#resolveGone();
    this.#surroundings.onGone();
    if (running === undefined || this.#hasOutlivedTimeout) return;
    if (this.#spawnError !== undefined) {
      running.reject(
        new Error(
          `No environment of ${this.#configuration.name} could be started (code in ${this.#configuration.codeDirectory}).`,
          { cause: this.#spawnError },
        ),
      );
    } else running.resolve(running.answer ?? this.#explainEnd(running, status, signal));
  }

  #explainEnd(running: Running, status: number | null, signal: NodeJS.Signals | null): InvocationOutcome {
    const { requestId } = running.invocation;
    const durationMs = this.#surroundings.clock.nowMs() - running.startedMs;
    if (this.#isTimedOut) return this.#timedOut(running);
    if (this.#initError !== undefined) {
      return { kind: 'functionError', ...this.#initError, requestId, durationMs };
    }
    return this.#failure(running, 'Runtime.ExitError', exitReason(status, signal));
  }

  #timedOut(running: Running): InvocationOutcome {
    this.#surroundings.onTimeout();
    const seconds = this.#configuration.timeoutSeconds.toFixed(2);
    return this.#failure(running, 'Sandbox.Timedout', `Task timed out after ${seconds} seconds`);
  }

  /** Lambda writes into the log how an invocation ended that did not end by itself. */
  #failure({ invocation, startedMs }: Running, errorType: string, reason: string): InvocationOutcome {
    const { requestId } = invocation;
    const errorMessage = `RequestId: ${requestId} Error: ${reason}`;
    const durationMs = this.#surroundings.clock.nowMs() - startedMs;
    this.#surroundings.onLog(errorMessage);
    return { kind: 'functionError', errorType, errorMessage, requestId, durationMs };
  }

  #freezeForGood(): void {
    this.#isFrozenForGood = true;
    this.#cancelThaw();
    this.#signal('SIGSTOP');
  }

  #victim(chaos: ChaosLedger): ChaosVictim {
    const environment = (): ExecutionEnvironment => this;
    return {
      get isKilled() {
        return environment().#isKilled;
      },
      faultAt: (service, operation) => {
        // What runs before the first invocation or after an answer is of no invocation: nothing strikes there.
        const running = this.#running;
        if (running === undefined || !running.isDelivered || running.answer !== undefined) return undefined;
        running.requests += 1;
        return chaos.atRequest({
          functionName: this.#configuration.name,
          invocation: running.invocation.number,
          request: running.requests,
          service,
          operation,
        });
      },
      kill: () => this.kill(),
      freeze: (freezeMs) => {
        if (this.#isFrozenForGood) return;
        this.#signal('SIGSTOP');
        this.#cancelThaw();
        this.#cancelThaw = this.#surroundings.timer.schedule(freezeMs, () => this.#signal('SIGCONT'));
      },
      freezeForGood: () => this.#freezeForGood(),
      freezeBeyondTimeout: (resumeAfterInvocations) => {
        this.#resumeAfterTimeout = resumeAfterInvocations;
        this.#freezeForGood();
      },
      becomeZombie: (resumeAfterInvocations) => {
        const running = this.#running;
        if (running === undefined) return Promise.resolve();
        const resumed = this.#surroundings.onZombie(resumeAfterInvocations);
        const durationMs = this.#surroundings.clock.nowMs() - running.startedMs;
        running.resolve(callerGaveUp(running.invocation.requestId, durationMs));
        return resumed;
      },
    };
  }
}

/** Not an error of Lambda's: on AWS the caller sees its connection break. */
function callerGaveUp(requestId: string, durationMs: number): InvocationOutcome {
  return {
    kind: 'functionError',
    errorType: 'Chaos.AnswerLost',
    errorMessage: `RequestId: ${requestId} Error: the caller stopped waiting for the answer; what the function did stays done`,
    requestId,
    durationMs,
  };
}

/** X-Ray's form: a version, the epoch second in hexadecimal, 24 hexadecimal digits; not sampled. */
function traceId(nowMs: number, requestId: string): string {
  const digits = Buffer.from(requestId).toString('hex').padEnd(24, '0').slice(-24);
  const second = Math.floor(nowMs / 1000)
    .toString(16)
    .padStart(8, '0');
  return `Root=1-${second}-${digits};Parent=${digits.slice(0, 16)};Sampled=0`;
}
