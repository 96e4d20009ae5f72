import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ENVIRONMENT } from '../../shared/lambda/environment.ts';
import { compareSequences } from '../../shared/source/position.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { SynthesisOptions } from '../synthesis.ts';
import { createAwsFailureSender } from './driver/aws-failure-sender.ts';
import { createKinesisShardReader } from './driver/kinesis-shard-reader.ts';
import { createMappingDriver, type MappingDriver } from './driver/mapping-driver.ts';
import { systemTimer } from './timer.ts';
import { endpointVariables } from './engines/engine-endpoints.ts';
import { type EngineOptions, type Engines, startEngines } from './engines/engines.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from './engines/local-account.ts';
import { keepJson, keptJson } from './kept-json.ts';
import { type LambdaFigures, type LocalLambda, startLambda } from './lambda/local-lambda.ts';
import type { LocalChaos } from './local-chaos.ts';
import { readMappingSettings } from '../../shared/mapping/mapping-settings.ts';
import type { MappingSnapshot } from '../../shared/mapping/mapping-snapshot.ts';
import type { MappingStatus } from '../../shared/mapping/mapping-status.ts';
import { readCloudAssembly } from './provision/cloud-assembly.ts';
import type { LocalFunction } from './provision/local-function.ts';
import type { LocalMapping } from './provision/local-mapping.ts';
import { type LocalStack, provisionStack } from './provision/local-stack.ts';

export interface LocalCloudOptions {
  /** Name of the pipeline, as in infra/pipelines.ts. */
  readonly pipeline: string;
  /** Settings in place of those of the template. */
  readonly overrides?: NonNullable<SynthesisOptions['overrides']>;
  /** Which DynamoDB; see EngineOptions. */
  readonly dynamo: NonNullable<EngineOptions['dynamo']>;
  /** A folder that keeps streams, tables, objects and the mappings' positions. */
  readonly persistDirectory?: string;
  readonly chaos?: LocalChaos;
  readonly clock: Clock;
  /** Told, in sentences for a person, what is weaker here than on AWS, and what goes wrong around the functions. */
  readonly onNotice: (text: string) => void;
  /** A line of a function's log. */
  readonly onLog: (line: string) => void;
  /** Told when something that cannot be mended has ended the cloud, such as an engine that died; at most once. */
  readonly onFailure: (error: Error) => void;
}

/** Physical names of what the pipeline's stack tells in its outputs. */
export interface PipelineResources {
  readonly streamName: string;
  readonly stateTableName: string;
  readonly bucketName: string;
}

/** By shard id: the last sequence number that someone put there. */
export type SentPositions = ReadonlyMap<string, string>;

/** A pipeline's stack that runs on this machine. */
export interface LocalCloud {
  readonly stack: LocalStack;
  readonly engines: Engines;
  readonly resources: PipelineResources;
  /** Of the mapping that reads the source stream. */
  mappingStatus(): MappingStatus;
  lambdaFigures(): LambdaFigures;
  /**
   * Resolves when every shard of every mapping is read to its end and acknowledged, nothing is in flight, and the
   * positions in the source stream are acknowledged too.
   */
  untilDrained(sent: SentPositions): Promise<void>;
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
/** Processes of functions: 75 MB each. */
const MAXIMUM_ENVIRONMENTS = 6;

/**
 * Synthesizes the pipeline's stack and runs what its template says, on engines of this machine: local and deployed
 * differ in endpoints and in nothing else.
 * @throws Error when an engine does not start or the template cannot run here; nothing is left running then.
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const assemblyDirectory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-local-'));
  const removeAssembly = () => rmSync(assemblyDirectory, { recursive: true, force: true });
  const { persistDirectory, dynamo, onNotice } = options;
  const starting = startEngines({ ...(persistDirectory && { persistDirectory }), dynamo, onNotice });
  let lambda: LocalLambda | undefined;
  try {
    // The engines start while the app is loaded and synthesized.
    const { resources: read, assembly } = await synthesizeInto(assemblyDirectory, options);
    const engines = await starting;
    const stack = await provisionStack({ assembly, engines, onNotice });
    if (stack.schedules.length > 0) {
      const names = stack.schedules.map(({ name }) => name).join(', ');
      onNotice(`Schedules do not run on this machine: ${names}.`);
    }
    lambda = await startLambda({
      functions: stack.functions.map((each) => functionConfiguration(each, engines, options.chaos)),
      clock: options.clock,
      maximumEnvironments: MAXIMUM_ENVIRONMENTS,
      onLog: options.onLog,
      ...(options.chaos && { chaos: options.chaos.plan }),
    });
    return new RunningCloud(options, engines, stack, read(stack), lambda, removeAssembly);
  } catch (error) {
    await lambda?.close();
    await starting.then(
      (engines) => engines.stop(),
      () => undefined,
    );
    removeAssembly();
    throw error;
  }
}

async function synthesizeInto(outdir: string, { pipeline, overrides }: LocalCloudOptions) {
  // Loaded here and not above: CDK takes a second to load, in which the engines can start already.
  const [{ synthesize }, { OUTPUTS }] = await Promise.all([import('../app.ts'), import('../stack.ts')]);
  synthesize({ pipelines: [pipeline], checkSchemas: false, outdir, ...(overrides && { overrides }) });
  const output = ({ stackName, outputs }: LocalStack, name: string): string => {
    const value = outputs[name];
    if (typeof value === 'string') return value;
    throw new Error(`Stack ${stackName} has no output ${name}; the construct for stacks sets it.`);
  };
  return {
    assembly: readCloudAssembly(outdir),
    resources: (stack: LocalStack): PipelineResources => ({
      streamName: output(stack, OUTPUTS.stream),
      stateTableName: output(stack, OUTPUTS.stateTable),
      bucketName: output(stack, OUTPUTS.bucket),
    }),
  };
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

interface RunningMapping {
  readonly mapping: LocalMapping;
  readonly driver: MappingDriver;
}

interface KeptPositions {
  readonly mappings: Readonly<Record<string, MappingSnapshot>>;
}

class RunningCloud implements LocalCloud {
  readonly stack: LocalStack;
  readonly engines: Engines;
  readonly resources: PipelineResources;
  readonly #options: LocalCloudOptions;
  readonly #lambda: LocalLambda;
  readonly #removeAssembly: () => void;
  readonly #mappings: readonly RunningMapping[];
  readonly #positionsFile: string | undefined;
  readonly #waiting = new Set<() => void>();
  #watch: NodeJS.Timeout | undefined;
  #processingStopped: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    options: LocalCloudOptions,
    engines: Engines,
    stack: LocalStack,
    resources: PipelineResources,
    lambda: LocalLambda,
    removeAssembly: () => void,
  ) {
    this.stack = stack;
    this.engines = engines;
    this.resources = resources;
    this.#options = options;
    this.#lambda = lambda;
    this.#removeAssembly = removeAssembly;
    const { persistDirectory } = options;
    this.#positionsFile = persistDirectory && path.join(persistDirectory, 'mapping-positions.json');
    const kept = this.#positionsFile && (keptJson(this.#positionsFile) as KeptPositions | undefined);
    this.#mappings = stack.mappings.map((mapping) => ({
      mapping,
      driver: this.#driver(mapping, kept ? kept.mappings[mapping.id] : undefined),
    }));
    for (const { driver } of this.#mappings) driver.start();
    this.#watch = setInterval(() => this.#look(), WATCH_INTERVAL_MS);
  }

  mappingStatus(): MappingStatus {
    return this.#sourceMapping().driver.status();
  }

  lambdaFigures(): LambdaFigures {
    return this.#lambda.figures();
  }

  untilDrained(sent: SentPositions): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.#isDrained(sent)) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  stopProcessing(): Promise<void> {
    return (this.#processingStopped ??= (async () => {
      await Promise.all(this.#mappings.map(({ driver }) => driver.stop(STOP_LIMIT_MS)));
      this.#keepPositions();
    })());
  }

  stop(): Promise<void> {
    return (this.#stopped ??= (async () => {
      try {
        await this.stopProcessing();
      } finally {
        clearInterval(this.#watch);
        this.#watch = undefined;
        await this.#lambda.close();
        await this.engines.stop();
        this.#removeAssembly();
      }
    })());
  }

  #driver(mapping: LocalMapping, snapshot: MappingSnapshot | undefined): MappingDriver {
    const { chaos, clock, onNotice } = this.#options;
    const { kinesis, sqs, s3 } = this.engines.clients();
    const functionArn = this.stack.functions.find(({ name }) => name === mapping.functionName)?.arn;
    if (functionArn === undefined) {
      throw new Error(
        `Mapping ${mapping.logicalId} feeds ${mapping.functionName}, which is not in stack ${this.stack.stackName}.`,
      );
    }
    const identity = {
      mappingId: mapping.id,
      functionArn,
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

  #sourceMapping(): RunningMapping {
    const { streamName } = this.resources;
    const found = this.#mappings.find(({ mapping }) => mapping.streamName === streamName);
    if (found === undefined)
      throw new Error(`Nothing in ${this.stack.stackName} reads stream ${streamName}.`);
    return found;
  }

  #isDrained(sent: SentPositions): boolean {
    const source = this.#sourceMapping();
    return this.#mappings.every((running) => {
      const { shards } = running.driver.status();
      const isIdle = shards.every(
        ({ phase, queuedRecords, inFlightRecords, millisBehindLatest }) =>
          queuedRecords === 0 && inFlightRecords === 0 && (phase === 'done' || millisBehindLatest === 0),
      );
      if (!isIdle || shards.length === 0) return false;
      if (running !== source) return true;
      const acknowledged = new Map(
        shards.map(({ shardId, lastAcknowledged }) => [shardId, lastAcknowledged]),
      );
      // How far a shard is behind was true when it was last read; what was sent since counts by its own number.
      return [...sent].every(([shardId, sequence]) => {
        const last = acknowledged.get(shardId);
        return last !== undefined && compareSequences(last, sequence) >= 0;
      });
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

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch {
    return false;
  }
}
