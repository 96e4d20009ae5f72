import { setTimeout as wait } from 'node:timers/promises';
import type { Colors } from 'picocolors/types.js';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import type { ShardStatus } from '../../shared/mapping/mapping-status.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { FunctionLog } from '../local/function-log.ts';
import { localChaos } from '../local/local-chaos.ts';
import { type LocalCloud, type LocalPipeline, startLocalCloud } from '../local/local-cloud.ts';
import type { LocalGround } from '../local/local-ground.ts';
import { OrderedProducer } from '../local/producer/ordered-producer.ts';
import { reshard, type ReshardStep } from '../local/reshard.ts';
import { DistinctKeys } from './distinct-keys.ts';
import { feed } from './feed.ts';
import { fireTimers, type TimeReached } from './fire-timers.ts';
import { FunctionVoice } from './function-voice.ts';
import { limited, openInput } from './input.ts';
import type { Interruption } from './interruption.ts';
import { PlainChain } from './plain-chain.ts';
import { PoisonSource } from './poison.ts';
import { formatted, type PeopleStream, ProgressDisplay } from './progress-display.ts';
import type { RunFigures } from './run-figures.ts';
import {
  dumpStates,
  faultSummary,
  figuresOf,
  readResults,
  sayComparisons,
  sayResults,
  sayTime,
} from './run-report.ts';
import { dumpTables } from './sink-tables.ts';
import { SentLines } from './sent-lines.ts';
import { StallWatch } from './stall-watch.ts';
import type { StartOptions } from './start-options.ts';

/** The world around a run. */
export interface RunSurroundings {
  readonly clock: Clock;
  /** Where everything for people goes. */
  readonly people: PeopleStream;
  /** Where raw log lines go. */
  readonly raw: NodeJS.WritableStream;
  readonly colors: Colors;
  readonly interruption: Interruption;
  /** Names of pipelines that run beside the chain, and of which each awaits its fork from a pipeline of the chain. */
  readonly forks?: readonly string[];
  /** Engines and a synthesized app for more than one run; without them the run brings its own. */
  readonly ground?: LocalGround;
}

export interface RunResult {
  readonly figures: RunFigures;
  /** False where the state is not what a plain fold of the input gives. */
  readonly isRight: boolean;
}

/** How often a bad record is sent among the good ones of a run with chaos. */
const POISON_PROBABILITY = 0.02;
/** How often it is written down how many lines were sent, and looked whether anything moves. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * Brings the local cloud up, streams the input into the first pipeline, shows what becomes of it, and ends it all: when everything is
 * processed, or when it is interrupted.
 * @param chain the pipelines, each behind the one that feeds it.
 * @throws UsageError for input that cannot be read; Error when the local cloud fails.
 */
export async function runLocally(
  options: StartOptions,
  chain: readonly [Pipeline, ...Pipeline[]],
  surroundings: RunSurroundings,
): Promise<RunResult> {
  const { clock, people, raw, colors, interruption, ground, forks = [] } = surroundings;
  const [{ definition }] = chain;
  const definitions = chain.map((each) => each.definition);
  const input = limited(await openInput(options.input, definition.name), options.records);
  const chaos = options.chaos === undefined ? undefined : localChaos(options.chaos);
  const fold = chaos && new PlainChain(definitions);
  const poison = chaos && fold && new PoisonSource(chaos.seed, POISON_PROBABILITY, fold);
  const reshards: Record<ReshardStep['kind'], number> = { split: 0, merge: 0 };
  const sentLines = options.persist === undefined ? undefined : new SentLines(options.persist);
  const skip = sentLines?.toSkip(input) ?? 0;
  const keys = new DistinctKeys();
  const names = definitions.map(({ name }) => name);
  const logs = new Map([...names, ...forks].map((name) => [name, new FunctionLog()]));
  const logOf = (name: string): FunctionLog => logs.get(name) as FunctionLog;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  // It may fail while nobody awaits it.
  failed.catch(() => undefined);

  let producer: OrderedProducer | undefined;
  let cloud: LocalCloud | undefined;
  const display = new ProgressDisplay(people, colors, () => ({
    sent: producer?.sent ?? 0,
    total: input.totalLines === undefined ? undefined : input.totalLines - skip + (poison?.total ?? 0),
    applied: logOf(definition.name).sums().applied,
    duplicates: logOf(definition.name).sums().duplicates,
    deadLetters: logOf(definition.name).sums().deadLetters,
    keys: String(keys),
    shards: shardsOf(cloud?.pipelines[0]),
    following: (cloud?.pipelines.slice(1, chain.length) ?? []).map((each) => ({
      name: each.name,
      applied: logOf(each.name).sums().applied,
      shards: shardsOf(each),
    })),
  }));
  const say = (text: string): void => display.say(text);
  const notice = (text: string): void => say(colors.dim(`· ${text}`));
  const voice = new FunctionVoice({
    say: (text) => say(colors.yellow(text)),
    sayRaw: options.verbose ? (line) => raw.write(`${line}\n`) : undefined,
    isQuiet: chaos !== undefined,
  });

  const title = [names.join(' → '), ...forks].join(', ');
  say(
    `${colors.bold(title)}: synthesizing ${chain.length + forks.length > 1 ? 'the stacks' : 'the stack'} and starting the local cloud …`,
  );
  try {
    cloud = await startLocalCloud({
      pipelines: [...names, ...forks],
      overrides: {
        ...(options.shards !== undefined && { shardCount: options.shards }),
        ...(options.batchSize !== undefined && { batchSize: options.batchSize }),
        ...(options.parallelizationFactor !== undefined && {
          parallelizationFactor: options.parallelizationFactor,
        }),
      },
      dynamo: options.dynamo,
      ...(options.persist !== undefined && { persistDirectory: options.persist }),
      ...(chaos && { chaos }),
      ...(ground && { ground }),
      clock,
      onNotice: notice,
      onLog: (line, pipeline) => voice.hear(line, logOf(pipeline)),
      onFailure: (error) => fail(error),
    });
    describe(cloud, notice);
    say(`Streaming ${input.title}${skip > 0 ? `, from line ${formatted(skip + 1)} on` : ''}.`);
    display.start();

    producer = new OrderedProducer({
      client: cloud.engines.clients().kinesis,
      streamName: sourceOf(cloud),
      wait: (ms) => wait(ms),
      // What comes behind later times of its shard may come too late.
      isOneLine: definition.time !== undefined,
    });
    const running = { cloud, producer };
    const keepSent = (): void => sentLines?.keep(input, skip + running.producer.sentInOrder);
    const stallWatch = new StallWatch(
      (text) => say(colors.yellow(text)),
      () => voice.last,
    );
    const looking = setInterval(() => {
      keepSent();
      stallWatch.look(running.cloud.pipelines.slice(0, chain.length).flatMap(shardsOf), clock.nowMs());
    }, LOOK_INTERVAL_MS);
    const startMs = clock.nowMs();
    let reached: readonly TimeReached[] = [];
    try {
      const fed = feed({
        input,
        definition,
        producer,
        skip,
        keys,
        fold,
        poison,
        milestones: (chaos?.resharding ?? []).map((step) => ({
          share: step.share,
          reach: async () => {
            const { engines, pipelines } = running.cloud;
            const chosen = pipelines[Math.floor(step.streamChoice * pipelines.length)];
            const streamName = chosen?.resources.streamName ?? sourceOf(running.cloud);
            const done = await reshard(engines.clients().kinesis, streamName, step);
            if (done === undefined) return;
            reshards[step.kind] += 1;
            notice(`${streamName}: ${done} at ${Math.round(100 * step.share)} % of the input.`);
          },
        })),
        signal: interruption.signal,
        isKept: sentLines !== undefined,
      });
      fed.catch(() => undefined);
      await Promise.race([fed, failed]);
      const drained = cloud.untilDrained(producer.lastSent, names);
      await Promise.race([drained, interruption.requested, failed]);
      if (!interruption.signal.aborted) {
        const { lastSent } = producer;
        const fired = fireTimers(cloud.pipelines.slice(0, chain.length), definitions, () =>
          running.cloud.untilDrained(lastSent, names),
        );
        fired.catch(() => undefined);
        await Promise.race([fired.then((times) => (reached = times)), interruption.requested, failed]);
      }
    } finally {
      clearInterval(looking);
      keepSent();
    }
    const seconds = (clock.nowMs() - startMs) / 1_000;
    display.stop();

    if (options.untilDrained || interruption.signal.aborted) await cloud.stopProcessing();
    const result = await report(running, seconds, reached);
    if (options.untilDrained || interruption.signal.aborted) return result;
    for (const fork of forks) {
      say(`${fork} runs beside it: until "tidemark fork … --to ${fork}" it awaits its checkpoint.`);
    }
    sayWhereItIs(cloud, say, colors);
    await Promise.race([interruption.requested, failed]);
    return result;
  } finally {
    display.stop();
    input.close();
    await cloud?.stop();
  }

  async function report(
    running: { readonly cloud: LocalCloud; readonly producer: OrderedProducer },
    seconds: number,
    reached: readonly TimeReached[],
  ): Promise<RunResult> {
    const results = await readResults(running.cloud, definitions, logs);
    const figures = figuresOf(running.cloud, results, { records: running.producer.sent, seconds });
    if (options.dumpState !== undefined) dumpStates(options.dumpState, results, notice);
    if (options.dumpTables !== undefined) {
      dumpTables(
        options.dumpTables,
        results.flatMap(({ tables }) => tables),
      );
    }
    sayResults(results, figures, say, colors.isColorSupported);
    sayTime(reached, say);
    if (chaos === undefined || fold === undefined) return { figures, isRight: true };
    const { faults, objectFaults } = running.cloud.lambdaFigures();
    const injected = {
      seed: chaos.seed,
      faults: { ...faults, ...chaos.deliveryFaults, ...reshards, ...poison?.counts },
      objectFaults,
    };
    say(faultSummary(injected, voice.unsaid));
    if (interruption.signal.aborted) {
      say('Interrupted: the state is not compared.');
      return { figures: { ...figures, chaos: { ...injected, isEqual: undefined } }, isRight: true };
    }
    const isEqual = sayComparisons(fold.results(), results, figures.records, say, colors);
    return { figures: { ...figures, chaos: { ...injected, isEqual } }, isRight: isEqual };
  }
}

/** Of all mappings of a pipeline. */
function shardsOf(pipeline: LocalPipeline | undefined): ShardStatus[] {
  return pipeline === undefined ? [] : pipeline.mappingStatuses().flatMap(({ shards }) => shards);
}

/** The stream that takes the input. */
function sourceOf({ pipelines: [first] }: LocalCloud): string {
  return (first as LocalPipeline).resources.streamName;
}

function describe({ engines, pipelines }: LocalCloud, notice: (text: string) => void): void {
  const dynamo = engines.dynamoKind === 'dynalite' ? 'dynalite' : 'DynamoDB Local (Java)';
  notice(
    `Kinesis runs on kinesis-local, DynamoDB on ${dynamo}, S3 and SQS on fauxqs, Lambda in local processes.`,
  );
  const ignored = pipelines.flatMap(({ stack }) => stack.ignored);
  const count = ignored.reduce((sum, each) => sum + each.count, 0);
  if (count === 0) return;
  const reasons = [...new Set(ignored.map(({ reason }) => reason))];
  notice(
    `${count} resources of ${pipelines.length > 1 ? 'the templates' : 'the template'} do nothing here: ${reasons.join('; ')}.`,
  );
}

function sayWhereItIs({ engines, pipelines }: LocalCloud, say: (text: string) => void, colors: Colors): void {
  const { kinesis, dynamodb, s3 } = engines.endpoints;
  for (const { resources } of pipelines) {
    say(`stream ${resources.streamName} at ${kinesis}`);
    say(`table ${resources.stateTableName} at ${dynamodb}`);
    say(`bucket ${resources.bucketName} at ${s3}`);
  }
  say(colors.bold('Everything is processed and stays up; Ctrl-C ends it.'));
}
