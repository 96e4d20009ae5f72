import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StatefulPipelineProps } from '../../infra/constructs/stateful-pipeline-props.ts';
import { accessPipeline } from '../../infra/cli/pipeline-access.ts';
import { rowsOf } from '../../infra/cli/sink-tables.ts';
import { keyStates, stateLine } from '../../infra/cli/state-lines.ts';
import { scanStates } from '../../infra/cli/state-scan.ts';
import { startEngines, type Engines } from '../../infra/local/engines/engines.ts';
import { startLocalCloud, type LocalCloud } from '../../infra/local/local-cloud.ts';
import { OrderedProducer } from '../../infra/local/producer/ordered-producer.ts';
import { routeOf } from '../../infra/local/producer/partition-key.ts';
import { synthesizePipelines } from '../../infra/synthesis.ts';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { MemoryBlobStore } from '../../shared/state/memory-blob-store.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { json, operate } from '../support/operate.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A pipeline as it is deployed; `file` from the project's folder. */
export function deployed(pipeline: Pipeline, file: string, forkOf?: Pipeline): StatefulPipelineProps {
  return { pipeline, handlerFile: path.join(ROOT, file), ...(forkOf && { forkOf }) };
}

/** A local cloud in this process, which the operator's command finds, and which is deployed to several times. */
export class OperatedCloud {
  readonly #folder: string;
  readonly #shardCount: number;
  readonly #temporaryBefore = process.env['TMPDIR'];
  #engines: Engines | undefined;
  #cloud: LocalCloud | undefined;
  #producer: OrderedProducer | undefined;
  #source: Pipeline | undefined;
  #deployments = 0;
  /** Every line that was sent, in order. */
  readonly sent: string[] = [];

  constructor(folder: string, shardCount: number) {
    this.#folder = folder;
    this.#shardCount = shardCount;
  }

  get engines(): Engines {
    if (this.#engines === undefined) throw new Error('Nothing is deployed.');
    return this.#engines;
  }

  get cloud(): LocalCloud {
    if (this.#cloud === undefined) throw new Error('Nothing is deployed.');
    return this.#cloud;
  }

  /** Deploys pipelines over whatever is there, the one that the lines are sent to first. */
  async deploy(...all: readonly [StatefulPipelineProps, ...StatefulPipelineProps[]]): Promise<void> {
    process.env['TMPDIR'] = this.#folder;
    const kept = path.join(this.#folder, 'kept');
    mkdirSync(kept, { recursive: true });
    this.#engines ??= await startEngines({ dynamo: 'dynalite', onNotice: () => undefined });
    await this.#cloud?.stop();
    const assemblyDirectory = path.join(this.#folder, `assembly-${++this.#deployments}`);
    synthesizePipelines(all, {
      checkSchemas: false,
      outdir: assemblyDirectory,
      overrides: { shardCount: this.#shardCount },
    });
    this.#cloud = await startLocalCloud({
      pipelines: all.map(({ pipeline }) => pipeline.definition.name),
      dynamo: 'dynalite',
      persistDirectory: kept,
      ground: { engines: this.#engines, assemblyDirectory, release: async () => undefined },
      clock: systemClock,
      onNotice: () => undefined,
      onLog: () => undefined,
      onFailure: () => undefined,
    });
    this.#source = all[0].pipeline;
    this.#producer ??= this.#newProducer();
  }

  get streamName(): string {
    return this.cloud.pipelines[0]?.resources.streamName ?? '';
  }

  async send(lines: readonly string[]): Promise<void> {
    const { definition } = this.#source as Pipeline;
    const producer = this.#producer as OrderedProducer;
    for (const line of lines) {
      const data = Buffer.from(line);
      await producer.send({ data, partitionKey: routeOf(definition, data).partitionKey });
      this.sent.push(line);
    }
    await producer.flush();
  }

  /**
   * Ends what is deployed; streams and tables stay. What was sent and how far mappings had come is forgotten: the next
   * deployment's mappings begin anew.
   */
  async withdraw(): Promise<void> {
    await this.cloud.stop();
    this.#cloud = undefined;
    this.#producer = undefined;
    rmSync(path.join(this.#folder, 'kept', 'mapping-positions.json'));
  }

  /** @param names of pipelines; all unless given. */
  async untilDrained(...names: readonly string[]): Promise<void> {
    const { lastSent } = this.#producer as OrderedProducer;
    await this.cloud.untilDrained(lastSent, names.length === 0 ? undefined : names);
  }

  /** The states of a pipeline, a line each, in the order of keys. */
  async dump(pipeline: Pipeline): Promise<string> {
    const { name } = pipeline.definition;
    const found = this.cloud.pipelines.find((each) => each.name === name);
    const table = found?.resources.stateTableName ?? '';
    const states = await scanStates(this.engines.clients().dynamodb, table, new MemoryBlobStore());
    return keyStates(pipeline.definition, states)
      .map((state) => `${stateLine(state)}\n`)
      .join('');
  }

  /** What stands in the table of a pipeline's only sink: by partition key, the value as text. */
  async rows(pipeline: string): Promise<Map<string, string>> {
    const access = await accessPipeline(pipeline, { local: true });
    try {
      const [table = ''] = access.sinks.values();
      const rows = await rowsOf(this.engines.clients().dynamodb, table);
      return new Map(rows.map((row) => [row.key, stateLine(row)]));
    } finally {
      access.close();
    }
  }

  async status(pipeline: string): Promise<Record<string, unknown>> {
    return json(await operate(['status', pipeline, '--over', '0']));
  }

  async stop(): Promise<void> {
    try {
      await this.#cloud?.stop();
      await this.#engines?.stop();
    } finally {
      if (this.#temporaryBefore === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = this.#temporaryBefore;
    }
  }

  #newProducer(): OrderedProducer {
    return new OrderedProducer({
      client: this.engines.clients().kinesis,
      streamName: this.streamName,
      wait: (ms) => wait(ms),
    });
  }
}
