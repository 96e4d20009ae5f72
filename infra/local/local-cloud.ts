import path from 'node:path';
import { ENVIRONMENT } from '../../shared/lambda/environment.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { OUTPUTS, stackIdOf } from '../stack-names.ts';
import type { SynthesisOptions } from '../synthesis.ts';
import { createAwsFailureSender } from './driver/aws-failure-sender.ts';
import { createKinesisShardReader } from './driver/kinesis-shard-reader.ts';
import { createMappingDriver, type MappingDriver } from './driver/mapping-driver.ts';
import { Drainage, type SentPositions } from './drainage.ts';
import { LocalSchedules } from './local-schedules.ts';
import { systemTimer } from './timer.ts';
import { endpointVariables } from './engines/engine-endpoints.ts';
import type { EngineOptions, Engines } from './engines/engines.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from './engines/local-account.ts';
import { keepJson, keptJson } from './kept-json.ts';
import { startLambdaApi } from './lambda/lambda-api.ts';
import type { MappingControl } from './lambda/mapping-requests.ts';
import type { InvocationOutcome } from './lambda/invocation-outcome.ts';
import { type LambdaFigures, type LocalLambda, startLambda } from './lambda/local-lambda.ts';
import type { LocalChaos } from './local-chaos.ts';
import { type LocalGround, startGround } from './local-ground.ts';
import { readMappingSettings } from '../../shared/mapping/mapping-settings.ts';
import type { MappingSnapshot } from '../../shared/mapping/mapping-snapshot.ts';
import type { MappingStatus } from '../../shared/mapping/mapping-status.ts';
import { announceCloud } from './running-cloud-file.ts';
import { readCloudAssembly } from './provision/cloud-assembly.ts';
import type { LocalFunction } from './provision/local-function.ts';
import type { LocalMapping } from './provision/local-mapping.ts';
import { type LocalStack, provisionStacks } from './provision/local-stack.ts';

export interface LocalCloudOptions {
  /** Names of the pipelines, as in infra/pipelines.ts, each behind the one that feeds it; at least one. */
  readonly pipelines: readonly string[];
  /** Settings in place of those of the template. */
  readonly overrides?: NonNullable<SynthesisOptions['overrides']>;
  /** Which DynamoDB; see EngineOptions. */
  readonly dynamo: NonNullable<EngineOptions['dynamo']>;
  /** A folder that keeps streams, tables, objects and the mappings' positions. */
  readonly persistDirectory?: string;
  readonly chaos?: LocalChaos;
  /** Engines and a synthesized app that are there already; then `overrides`, `dynamo` and the folder mean nothing. */
  readonly ground?: LocalGround;
  readonly clock: Clock;
  /** Told, in sentences for a person, what is weaker here than on AWS, and what goes wrong around the functions. */
  readonly onNotice: (text: string) => void;
  /** A line of the log of a pipeline's function. */
  readonly onLog: (line: string, pipeline: string) => void;
  /** Told when something that cannot be mended has ended the cloud, such as an engine that died; at most once. */
  readonly onFailure: (error: Error) => void;
}

/** Physical names of what the pipeline's stack tells in its outputs. */
export interface PipelineResources {
  readonly streamName: string;
  readonly stateTableName: string;
  readonly bucketName: string;
  readonly functionName: string;
}

/** One pipeline's stack that runs on this machine. */
export interface LocalPipeline {
  readonly name: string;
  readonly stack: LocalStack;
  readonly resources: PipelineResources;
  /** Of its mappings, the one that reads the source stream first. */
  mappingStatuses(): readonly MappingStatus[];
  /** Has the pipeline's function answer an event. */
  invoke(event: object): Promise<InvocationOutcome>;
}

/** Stacks that run on this machine, of one pipeline or of several that feed each other. */
export interface LocalCloud {
  readonly engines: Engines;
  /** In the order of the options. */
  readonly pipelines: readonly LocalPipeline[];
  lambdaFigures(): LambdaFigures;
  /**
   * Resolves when every shard of every mapping is read to its end and acknowledged, nothing is in flight, and the
   * positions in the first source stream are acknowledged too.
   * @param pipelines whose mappings are looked at, by name; all unless given: one that awaits its fork drains nothing.
   */
  untilDrained(sent: SentPositions, pipelines?: readonly string[]): Promise<void>;
  /**
   * Ends the mappings: what is in flight gets some seconds to end, and what does not is delivered again by the next
   * run. State and streams can still be read. Safe to call twice.
   */
  stopProcessing(): Promise<void>;
  /** Ends everything, in order: mappings, functions, engines. Safe to call twice. */
  stop(): Promise<void>;
}

/** A batch of the local functions takes well under a second; a killed one comes again, exactly once. */
const STOP_LIMIT_MS = 5_000;
/** How often it is looked whether the engines live, and how often the mappings' positions are kept. */
const WATCH_INTERVAL_MS = 1_000;
/** Processes of one function, 75 MB each: functions that took them from each other would start cold all the time. */
const ENVIRONMENTS_PER_FUNCTION = 6;

/**
 * Synthesizes the pipeline's stack and runs what its template says, on engines of this machine: local and deployed
 * differ in endpoints and in nothing else.
 * @throws Error when an engine does not start or the template cannot run here; nothing is left running then.
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const { pipelines, overrides, persistDirectory, dynamo, onNotice } = options;
  const ground =
    options.ground ??
    (await startGround({
      pipelines,
      dynamo,
      onNotice,
      ...(overrides && { overrides }),
      ...(persistDirectory && { persistDirectory }),
    }));
  const { engines, assemblyDirectory } = ground;
  let lambda: LocalLambda | undefined;
  let door: Door | undefined;
  let stacks: readonly LocalStack[] = [];
  try {
    stacks = await provisionStacks({ assembly: readCloudAssembly(assemblyDirectory), engines, onNotice });
    const described = describedStacks(pipelines, stacks);
    const pipelineOf = new Map<string, string>();
    for (const { name, stack } of described) {
      for (const each of stack.functions) pipelineOf.set(each.name, name);
    }
    lambda = await startLambda({
      functions: described.flatMap(({ stack }) =>
        stack.functions.map((each) => functionConfiguration(each, engines, options.chaos)),
      ),
      clock: options.clock,
      maximumEnvironments: ENVIRONMENTS_PER_FUNCTION * pipelineOf.size,
      onLog: (line, functionName) => options.onLog(line, pipelineOf.get(functionName) ?? functionName),
      ...(options.chaos && { chaos: options.chaos.plan }),
    });
    const mappings: MappingControl[] = [];
    door = await openDoor(options, engines, described, lambda, mappings);
    return new RunningCloud(options, ground, described, lambda, door, mappings);
  } catch (error) {
    await door?.close();
    await lambda?.close();
    await ground.release(stacks);
    throw error;
  }
}

/** By which the operator's command, another process of the same user, finds this cloud. */
interface Door {
  close(): Promise<void>;
}

async function openDoor(
  { clock }: LocalCloudOptions,
  { endpoints }: Engines,
  stacks: readonly PipelineStackHere[],
  lambda: LocalLambda,
  mappings: readonly MappingControl[],
): Promise<Door> {
  const functionNames = stacks.flatMap(({ stack }) => stack.functions.map(({ name }) => name));
  const api = await startLambdaApi({ lambda, functionNames, mappings });
  try {
    const withdraw = announceCloud({
      processId: process.pid,
      startedMs: clock.nowMs(),
      endpoints: { ...endpoints, lambda: api.endpoint },
      stacks: Object.fromEntries(stacks.map(({ stack }) => [stack.stackName, textsOf(stack.outputs)])),
    });
    process.once('exit', withdraw);
    return {
      close: async () => {
        process.off('exit', withdraw);
        withdraw();
        await api.close();
      },
    };
  } catch (error) {
    await api.close();
    throw error;
  }
}

function textsOf(outputs: LocalStack['outputs']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(outputs).filter(([, value]) => typeof value === 'string'),
  ) as Record<string, string>;
}

function describedStacks(pipelines: readonly string[], stacks: readonly LocalStack[]): PipelineStackHere[] {
  const output = ({ stackName, outputs }: LocalStack, name: string): string => {
    const value = outputs[name];
    if (typeof value === 'string') return value;
    throw new Error(`Stack ${stackName} has no output ${name}; the construct for stacks sets it.`);
  };
  return pipelines.map((name) => {
    const stack = stacks.find(({ stackName }) => stackName === stackIdOf(name));
    if (stack === undefined) throw new Error(`Pipeline ${name} has no stack in the synthesized app.`);
    const resources = {
      streamName: output(stack, OUTPUTS.stream),
      stateTableName: output(stack, OUTPUTS.stateTable),
      bucketName: output(stack, OUTPUTS.bucket),
      functionName: output(stack, OUTPUTS.function),
    };
    return { name, stack, resources };
  });
}

/** What differs from the function on AWS: where the services are, and what the engine that plays DynamoDB lacks. */
function functionConfiguration(local: LocalFunction, engines: Engines, chaos: LocalChaos | undefined) {
  const { name, arn, codeDirectory, handler, memoryMb } = local;
  const timeoutSeconds = chaos?.functionTimeoutSeconds ?? local.timeoutSeconds;
  return {
    name,
    arn,
    codeDirectory,
    handler,
    timeoutSeconds,
    memoryMb,
    region: LOCAL_REGION,
    environment: {
      ...local.environment,
      ...endpointVariables(engines.endpoints),
      ...(!engines.supportsPartiql && { [ENVIRONMENT.writes]: 'single' }),
      // The function's Node is this machine's, which may be older than the one in the template.
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    },
  };
}

type PipelineStackHere = Pick<LocalPipeline, 'name' | 'stack' | 'resources'>;

interface RunningMapping {
  readonly mapping: LocalMapping;
  readonly driver: MappingDriver;
}

interface KeptPositions {
  readonly mappings: Readonly<Record<string, MappingSnapshot>>;
}

class RunningCloud implements LocalCloud {
  readonly engines: Engines;
  readonly pipelines: readonly LocalPipeline[];
  readonly #options: LocalCloudOptions;
  readonly #lambda: LocalLambda;
  readonly #door: Door;
  readonly #ground: LocalGround;
  readonly #schedules: LocalSchedules;
  /** Each behind the one that feeds it. */
  readonly #mappings: RunningMapping[] = [];
  readonly #positionsFile: string | undefined;
  readonly #waiting = new Set<() => void>();
  #watch: NodeJS.Timeout | undefined;
  #processingStopped: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    options: LocalCloudOptions,
    ground: LocalGround,
    stacks: readonly PipelineStackHere[],
    lambda: LocalLambda,
    door: Door,
    controls: MappingControl[],
  ) {
    this.engines = ground.engines;
    this.#ground = ground;
    this.#options = options;
    this.#lambda = lambda;
    this.#door = door;
    const { persistDirectory } = options;
    this.#positionsFile = persistDirectory && path.join(persistDirectory, 'mapping-positions.json');
    const kept = this.#positionsFile && (keptJson(this.#positionsFile) as KeptPositions | undefined);
    this.pipelines = stacks.map((here) => {
      const running = sourceFirst(here).map((mapping) => ({
        mapping,
        driver: this.#driver(here.stack, mapping, kept ? kept.mappings[mapping.id] : undefined),
      }));
      this.#mappings.push(...running);
      for (const { mapping, driver } of running) controls.push(controlOf(mapping, driver, here.stack));
      return {
        ...here,
        mappingStatuses: () => running.map(({ driver }) => driver.status()),
        invoke: (event) => this.#lambda.invoke(here.resources.functionName, event),
      };
    });
    for (const { driver } of this.#mappings) driver.start();
    this.#schedules = new LocalSchedules({
      schedules: stacks.flatMap(({ stack }) => stack.schedules),
      // What a function has thrown is in its log.
      invoke: async (functionName, event) => void (await this.#lambda.invoke(functionName, event)),
      timer: systemTimer,
      onNotice: options.onNotice,
    });
    this.#watch = setInterval(() => this.#look(), WATCH_INTERVAL_MS);
  }

  lambdaFigures(): LambdaFigures {
    return this.#lambda.figures();
  }

  untilDrained(sent: SentPositions, pipelines = this.#options.pipelines): Promise<void> {
    const drainage = new Drainage();
    const watched = this.pipelines.filter(({ name }) => pipelines.includes(name));
    return new Promise((resolve) => {
      const check = (): void => {
        const statuses = watched.flatMap((pipeline) => pipeline.mappingStatuses());
        if (!drainage.isDrained(statuses, sent, this.#options.clock.nowMs())) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  stopProcessing(): Promise<void> {
    return (this.#processingStopped ??= (async () => {
      this.#schedules.stop();
      await Promise.all(this.#mappings.map(({ driver }) => driver.stop(STOP_LIMIT_MS)));
      this.#keepPositions();
    })());
  }

  stop(): Promise<void> {
    return (this.#stopped ??= (async () => {
      try {
        await this.#door.close();
        await this.stopProcessing();
      } finally {
        clearInterval(this.#watch);
        this.#watch = undefined;
        await this.#lambda.close();
        await this.#ground.release(this.pipelines.map(({ stack }) => stack));
      }
    })());
  }

  #driver(stack: LocalStack, mapping: LocalMapping, snapshot: MappingSnapshot | undefined): MappingDriver {
    const { chaos, clock, onNotice } = this.#options;
    const { kinesis, sqs, s3 } = this.engines.clients();
    const identity = {
      mappingId: mapping.id,
      functionArn: functionArnOf(mapping, stack),
      invokeIdentityArn: `arn:aws:iam::${LOCAL_ACCOUNT}:role/${mapping.functionName}`,
    };
    return createMappingDriver({
      settings: readMappingSettings(mapping.properties, identity, chaos?.timing),
      reader: createKinesisShardReader(kinesis, mapping.streamName),
      invoke: (event) => {
        chaos?.beforeInvocation(mapping.functionName, event);
        return this.#lambda.invoke(mapping.functionName, event);
      },
      failures: createAwsFailureSender(sqs, s3),
      clock,
      timer: systemTimer,
      ...(snapshot && { snapshot }),
      ...(chaos && { chaos: chaos.delivery }),
      onProgress: () => {
        for (const check of this.#waiting) check();
      },
      onError: (error) => onNotice(error.message),
    });
  }

  #look(): void {
    const gone = this.engines.processIds.find((processId) => !isAlive(processId));
    if (gone !== undefined && this.#stopped === undefined) {
      clearInterval(this.#watch);
      this.#options.onFailure(
        new Error(`An engine of the local cloud (process ${gone}) has ended; nothing can go on without it.`),
      );
      return;
    }
    if (this.#processingStopped === undefined) this.#keepPositions();
  }

  #keepPositions(): void {
    if (this.#positionsFile === undefined) return;
    const mappings = this.#mappings.map(({ mapping, driver }) => [mapping.id, driver.snapshot()] as const);
    keepJson(this.#positionsFile, { mappings: Object.fromEntries(mappings) } satisfies KeptPositions);
  }
}

/**
 * A stack's mappings, the one that reads the pipeline's source stream first.
 * @throws Error when none does.
 */
function sourceFirst({ stack, resources }: PipelineStackHere): LocalMapping[] {
  const [source, ...others] = stack.mappings.toSorted(
    (a, b) => Number(b.streamName === resources.streamName) - Number(a.streamName === resources.streamName),
  );
  if (source?.streamName === resources.streamName) return [source, ...others];
  throw new Error(`Nothing in ${stack.stackName} reads stream ${resources.streamName}.`);
}

/** @throws Error where the mapping feeds a function that is not in its stack. */
function functionArnOf(mapping: LocalMapping, { functions, stackName }: LocalStack): string {
  const functionArn = functions.find(({ name }) => name === mapping.functionName)?.arn;
  if (functionArn !== undefined) return functionArn;
  throw new Error(
    `Mapping ${mapping.logicalId} feeds ${mapping.functionName}, which is not in stack ${stackName}.`,
  );
}

function controlOf(mapping: LocalMapping, driver: MappingDriver, stack: LocalStack): MappingControl {
  const { id, streamArn, functionName, properties } = mapping;
  return {
    id,
    startingPosition: String(properties['StartingPosition']),
    streamArn,
    functionName,
    functionArn: functionArnOf(mapping, stack),
    status: () => driver.status(),
    enable: () => driver.enable(),
    disable: () => driver.disable(),
  };
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
