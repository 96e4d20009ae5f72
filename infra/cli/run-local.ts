import { writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Colors } from 'picocolors/types.js';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { FunctionLog } from '../local/function-log.ts';
import { localChaos } from '../local/local-chaos.ts';
import { type LocalCloud, startLocalCloud } from '../local/local-cloud.ts';
import { OrderedProducer } from '../local/producer/ordered-producer.ts';
import { reshard, type ReshardStep } from '../local/reshard.ts';
import { compareStates, type StateComparison } from './compare-states.ts';
import { DistinctKeys } from './distinct-keys.ts';
import { feed } from './feed.ts';
import { FunctionVoice } from './function-voice.ts';
import { limited, openInput } from './input.ts';
import type { Interruption } from './interruption.ts';
import { PlainFold } from './plain-fold.ts';
import { PoisonSource } from './poison.ts';
import { formatted, type PeopleStream, ProgressDisplay } from './progress-display.ts';
import { resultsTable } from './results-table.ts';
import { type ChaosFigures, type RunFigures, runFigures } from './run-figures.ts';
import { SentLines } from './sent-lines.ts';
import { StallWatch } from './stall-watch.ts';
import type { StartOptions } from './start-options.ts';
import { keyStates, stateLine, type StatesByKey } from './state-lines.ts';
import { countDeadLetters, scanStates } from './state-scan.ts';

/** The world around a run. */
export interface RunSurroundings {
  readonly clock: Clock;
  /** Where everything for people goes. */
  readonly people: PeopleStream;
  /** Where raw log lines go. */
  readonly raw: NodeJS.WritableStream;
  readonly colors: Colors;
  readonly interruption: Interruption;
}

export interface RunResult {
  readonly figures: RunFigures;
  /** False where the state is not what a plain fold of the input gives. */
  readonly isRight: boolean;
}

const DIFFERENCES_SHOWN = 5;
/** How often a bad record is sent among the good ones of a run with chaos. */
const POISON_PROBABILITY = 0.02;
/** How often it is written down how many lines were sent, and looked whether anything moves. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * Brings the local cloud up, streams the input in, shows what becomes of it, and ends it all: when everything is
 * processed, or when it is interrupted.
 * @throws UsageError for input that cannot be read; Error when the local cloud fails.
 */
export async function runLocally(
  options: StartOptions,
  { definition }: Pipeline,
  surroundings: RunSurroundings,
): Promise<RunResult> {
  const { clock, people, raw, colors, interruption } = surroundings;
  const input = limited(await openInput(options.input, definition.name), options.records);
  const chaos = options.chaos === undefined ? undefined : localChaos(options.chaos);
  const fold = chaos && new PlainFold(definition);
  const poison = chaos && fold && new PoisonSource(chaos.seed, POISON_PROBABILITY, fold);
  const reshards: Record<ReshardStep['kind'], number> = { split: 0, merge: 0 };
  const sentLines = options.persist === undefined ? undefined : new SentLines(options.persist);
  const skip = sentLines?.toSkip(input) ?? 0;
  const keys = new DistinctKeys();
  const log = new FunctionLog();
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  // It may fail while nobody awaits it.
  failed.catch(() => undefined);

  let producer: OrderedProducer | undefined;
  let cloud: LocalCloud | undefined;
  const display = new ProgressDisplay(people, colors, () => ({
    sent: producer?.sent ?? 0,
    total: input.totalLines === undefined ? undefined : input.totalLines - skip + (poison?.total ?? 0),
    applied: log.sums().applied,
    duplicates: log.sums().duplicates,
    deadLetters: log.sums().deadLetters,
    keys: String(keys),
    shards: cloud?.mappingStatus().shards ?? [],
  }));
  const say = (text: string): void => display.say(text);
  const notice = (text: string): void => say(colors.dim(`· ${text}`));
  const voice = new FunctionVoice({
    log,
    say: (text) => say(colors.yellow(text)),
    sayRaw: options.verbose ? (line) => raw.write(`${line}\n`) : undefined,
    isQuiet: chaos !== undefined,
  });

  say(`${colors.bold(definition.name)}: synthesizing the stack and starting the local cloud …`);
  try {
    cloud = await startLocalCloud({
      pipeline: definition.name,
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
      clock,
      onNotice: notice,
      onLog: (line) => voice.hear(line),
      onFailure: (error) => fail(error),
    });
    describe(cloud, notice);
    say(`Streaming ${input.title}${skip > 0 ? `, from line ${formatted(skip + 1)} on` : ''}.`);
    display.start();

    producer = new OrderedProducer({
      client: cloud.engines.clients().kinesis,
      streamName: cloud.resources.streamName,
      wait: (ms) => wait(ms),
    });
    const running = { cloud, producer };
    const keepSent = (): void => sentLines?.keep(input, skip + running.producer.sentInOrder);
    const stallWatch = new StallWatch(
      (text) => say(colors.yellow(text)),
      () => voice.last,
    );
    const looking = setInterval(() => {
      keepSent();
      stallWatch.look(running.cloud.mappingStatus().shards, clock.nowMs());
    }, LOOK_INTERVAL_MS);
    const startMs = clock.nowMs();
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
            const { streamName } = running.cloud.resources;
            const done = await reshard(running.cloud.engines.clients().kinesis, streamName, step);
            if (done === undefined) return;
            reshards[step.kind] += 1;
            notice(`${done} at ${Math.round(100 * step.share)} % of the input.`);
          },
        })),
        signal: interruption.signal,
        isKept: sentLines !== undefined,
      });
      fed.catch(() => undefined);
      await Promise.race([fed, failed]);
      const drained = cloud.untilDrained(producer.lastSent);
      await Promise.race([drained, interruption.requested, failed]);
    } finally {
      clearInterval(looking);
      keepSent();
    }
    const seconds = (clock.nowMs() - startMs) / 1_000;
    display.stop();

    if (options.untilDrained || interruption.signal.aborted) await cloud.stopProcessing();
    const result = await report(running, seconds);
    if (options.untilDrained || interruption.signal.aborted) return result;
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
  ): Promise<RunResult> {
    const { engines, resources } = running.cloud;
    const states = await scanStates(engines.clients().dynamodb, resources.stateTableName);
    const figures = runFigures(
      {
        records: running.producer.sent,
        deadLetters: await countDeadLetters(engines.clients().s3, resources.bucketName, definition.name),
        keys: states.size,
        seconds,
      },
      log.sums(),
      running.cloud.mappingStatus(),
      running.cloud.lambdaFigures(),
    );
    const listed = keyStates(definition, states);
    say(resultsTable(listed, colors.isColorSupported));
    if (options.dumpState !== undefined) {
      writeFileSync(options.dumpState, listed.map((each) => `${stateLine(each)}\n`).join(''));
      notice(`The state of ${formatted(listed.length)} keys is in ${options.dumpState}.`);
    }
    say(summary(figures));
    if (chaos === undefined || fold === undefined) return { figures, isRight: true };
    const { faults, objectFaults } = running.cloud.lambdaFigures();
    const injected = {
      seed: chaos.seed,
      faults: { ...faults, ...chaos.deliveryFaults, ...reshards, ...poison?.counts },
      deadLetterFaults: objectFaults,
    };
    say(faultSummary(injected, voice.unsaid));
    if (interruption.signal.aborted) {
      say('Interrupted: the state is not compared.');
      return { figures: { ...figures, chaos: { ...injected, isEqual: undefined } }, isRight: true };
    }
    const isEqual = sayComparison(fold, states, figures);
    return { figures: { ...figures, chaos: { ...injected, isEqual } }, isRight: isEqual };
  }

  function sayComparison(plain: PlainFold, states: StatesByKey, figures: RunFigures): boolean {
    const comparison = compareStates(definition, plain.states(), states);
    const sameLetters = plain.deadLetters === figures.deadLetters;
    if (comparison.differences.length === 0 && sameLetters) {
      say(
        colors.green(
          `Equal: the state of ${formatted(comparison.keys)} keys is, byte for byte, that of a plain fold of ` +
            `${formatted(figures.records)} records, and so are the ${formatted(figures.deadLetters)} dead letters.`,
        ),
      );
      return true;
    }
    say(colors.red(differences(comparison)));
    if (!sameLetters) {
      say(
        colors.red(
          `Dead letters: ${plain.deadLetters} by a plain fold of the input, ${figures.deadLetters} in the bucket.`,
        ),
      );
    }
    return false;
  }
}

function describe({ engines, stack }: LocalCloud, notice: (text: string) => void): void {
  const dynamo = engines.dynamoKind === 'dynalite' ? 'dynalite' : 'DynamoDB Local (Java)';
  notice(
    `Kinesis runs on kinesis-local, DynamoDB on ${dynamo}, S3 and SQS on fauxqs, Lambda in local processes.`,
  );
  const count = stack.ignored.reduce((sum, each) => sum + each.count, 0);
  if (count === 0) return;
  const reasons = [...new Set(stack.ignored.map(({ reason }) => reason))];
  notice(`${count} resources of the template do nothing here: ${reasons.join('; ')}.`);
}

function sayWhereItIs({ engines, resources }: LocalCloud, say: (text: string) => void, colors: Colors): void {
  const { kinesis, dynamodb, s3 } = engines.endpoints;
  say(`stream ${resources.streamName} at ${kinesis}`);
  say(`table ${resources.stateTableName} at ${dynamodb}`);
  say(`bucket ${resources.bucketName} at ${s3}`);
  say(colors.bold('Everything is processed and stays up; Ctrl-C ends it.'));
}

function summary(figures: RunFigures): string {
  const { records, applied, duplicates, deadLetters, keys, batches, invocations, retries, seconds } = figures;
  return (
    `${formatted(records)} records in ${seconds.toFixed(1)} s: ${formatted(applied)} applied, ` +
    `${formatted(duplicates)} duplicates skipped, ${formatted(deadLetters)} dead letters, ${formatted(keys)} keys.\n` +
    `${formatted(batches)} batches, ${formatted(invocations)} invocations, ${formatted(retries)} retries; ` +
    `${formatted(figures.stateWrites)} state writes in ${formatted(figures.stateWriteRequests)} requests, ` +
    `${formatted(figures.wcu)} WCU, ${formatted(figures.rcu)} RCU; ${formatted(figures.published)} outputs published.`
  );
}

function faultSummary({ faults, deadLetterFaults }: Omit<ChaosFigures, 'isEqual'>, unsaid: number): string {
  const all = Object.entries(faults).filter(([, count]) => count > 0);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  const listed = all.map(([kind, count]) => `${words(kind)} ${count}`).join(', ');
  return (
    `Chaos: ${total} faults (${listed}), ${deadLetterFaults} of them at the storing of dead letters; ` +
    `functions logged ${unsaid} warnings and errors (--verbose shows them).\n` +
    'What invocations did that were killed before their end is in the state, and not among these figures.'
  );
}

/** `killBeforeReply`: kill before reply. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function differences({ differences: all, keys }: StateComparison): string {
  const shown = all
    .slice(0, DIFFERENCES_SHOWN)
    .map(
      ({ expected, found }) =>
        `  plain fold: ${expected ?? 'no state'}\n  table:      ${found ?? 'no state'}`,
    );
  return [
    `Different: ${formatted(all.length)} of ${formatted(keys)} keys do not have the state of a plain fold.`,
    ...shown,
    ...(all.length > shown.length ? [`  and ${formatted(all.length - shown.length)} more`] : []),
  ].join('\n');
}
