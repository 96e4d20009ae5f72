import { PassThrough, Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import picocolors from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { type SharedGround, startSharedGround } from '../local/local-ground.ts';
import { chainTo, nameOf } from '../chain.ts';
import { PIPELINES } from '../pipelines.ts';
import { requireComparable } from './event-time-limits.ts';
import { type ChaosOptions, readChaosOptions, replayCommand } from './chaos-options.ts';
import { chaosReport, faultTable, type SeedResult, seedResult } from './chaos-report.ts';
import { letReaderGo } from './gone-reader.ts';
import { type Interruption, listenForInterruption } from './interruption.ts';
import { formatted, type PeopleStream } from './progress-display.ts';
import { runLocally } from './run-local.ts';
import { type DynamoChoice, dynamoChoice } from './start-options.ts';
import { UsageError } from './usage-error.ts';

const EXIT = { fine: 0, failed: 1, badUsage: 2 } as const;

/** A run that takes longer does not come to its end: what was committed waits for something that does not happen. */
const SEED_LIMIT_MS = 15 * 60_000;
const STORY_CHARACTERS = 4_000;

/** `npm run chaos`: see chaos-options.ts for what it can do. @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let options: ChaosOptions | undefined;
  let dynamo: DynamoChoice;
  try {
    options = readChaosOptions(argv, PIPELINES.map(nameOf));
    if (options !== undefined) requireComparable(pipelinesOf(options));
    dynamo = dynamoChoice(process.env['TIDEMARK_DYNAMODB']);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nnpm run chaos -- --help lists what there is.\n`);
    return EXIT.badUsage;
  }
  if (options === undefined) return EXIT.fine;

  const people: PeopleStream = options.json ? process.stderr : process.stdout;
  const isColoured = people.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const colors = picocolors.createColors(isColoured);
  const interruption = listenForInterruption(
    () => systemClock.nowMs(),
    () => people.write('\nStopping … (Ctrl-C again ends at once)\n'),
  );
  letReaderGo(process.stdout, () => interruption.request());
  const say = (text: string): void => void people.write(`${text}\n`);
  let results: readonly SeedResult[];
  try {
    results = await runSeeds(options, { people, colors, interruption, dynamo });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`The local cloud failed: ${text}\n`);
    return EXIT.failed;
  } finally {
    interruption.release();
  }
  if (results.length === 0) return EXIT.failed;
  const replay = (seed: number): string => replayCommand(options, seed);
  const report = chaosReport(results, replay);
  const { shortest, mean, longest } = report.seconds;
  say(faultTable(report, results, isColoured));
  say(
    `${formatted(report.seeds)} seeds, ${formatted(report.totalFaults)} faults, ` +
      `${formatted(report.objectFaults)} of them at requests to S3; ` +
      `${shortest.toFixed(1)} to ${longest.toFixed(1)} s a seed, ${mean.toFixed(1)} s on average.`,
  );
  if (report.violations.length === 0) {
    say(colors.green('Every seed gave the state and the dead letters of a plain fold.'));
  }
  for (const { seed, outcome } of report.violations) {
    say(colors.red(`Seed ${seed} ${outcome}: ${replay(seed)}`));
  }
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.violations.length === 0 && !interruption.signal.aborted ? EXIT.fine : EXIT.failed;
}

function pipelinesOf({ pipeline: name }: ChaosOptions): readonly [Pipeline, ...Pipeline[]] {
  const [first, ...following] = chainTo(PIPELINES, name);
  return [first.pipeline, ...following.map(({ pipeline }) => pipeline)];
}

interface ChaosSurroundings {
  readonly people: PeopleStream;
  readonly colors: Colors;
  readonly interruption: Interruption;
  readonly dynamo: DynamoChoice;
}

/** One seed after the other, until the last or until it is interrupted. @throws Error when the engines do not start. */
async function runSeeds(
  options: ChaosOptions,
  { people, colors, interruption, dynamo }: ChaosSurroundings,
): Promise<SeedResult[]> {
  const { batchSize, parallelizationFactor, seeds, from } = options;
  const chain = pipelinesOf(options);
  const ground = await startSharedGround({
    pipelines: chain.map(({ definition }) => definition.name),
    overrides: { batchSize, ...(parallelizationFactor !== undefined && { parallelizationFactor }) },
    dynamo,
    onNotice: (text) => people.write(`${colors.dim(`· ${text}`)}\n`),
  });
  const results: SeedResult[] = [];
  const bar = people.isTTY === true ? new SingleBar({ stream: people, clearOnComplete: true }) : undefined;
  try {
    bar?.start(seeds, 0);
    for (let seed = from; seed < from + seeds; seed++) {
      const result = await runSeed(seed, options, chain, ground, interruption);
      if (interruption.signal.aborted) break;
      results.push(result);
      if (bar === undefined || result.outcome !== 'equal') people.write(`${seedLine(result, colors)}\n`);
      bar?.update(results.length);
    }
  } finally {
    bar?.stop();
    await ground.stop();
  }
  return results;
}

function seedLine({ seed, outcome, seconds, faults, story }: SeedResult, colors: Colors): string {
  const count = Object.values(faults).reduce((sum, each) => sum + each, 0);
  const line = `seed ${seed}: ${outcome}, ${formatted(count)} faults, ${seconds.toFixed(1)} s`;
  return outcome === 'equal' ? line : colors.red(`${line}\n${story.slice(-STORY_CHARACTERS)}`);
}

async function runSeed(
  seed: number,
  options: ChaosOptions,
  chain: readonly [Pipeline, ...Pipeline[]],
  ground: SharedGround,
  interruption: Interruption,
): Promise<SeedResult> {
  let said = '';
  const people = new Writable({
    write(chunk: Buffer, _encoding, done) {
      said += chunk.toString('utf8');
      done();
    },
  });
  const ending = new AbortController();
  const { signal } = ending;
  const end = (): void => ending.abort();
  const limit = setTimeout(end, SEED_LIMIT_MS);
  interruption.signal.addEventListener('abort', end);
  try {
    const { figures } = await runLocally(
      {
        ...options,
        chaos: seed,
        untilDrained: true,
        shards: undefined,
        dumpState: undefined,
        dumpTables: undefined,
        persist: undefined,
        verbose: false,
        dynamo: 'auto',
      },
      chain,
      {
        clock: systemClock,
        people,
        raw: new PassThrough().resume(),
        colors: picocolors.createColors(false),
        interruption: {
          signal,
          requested: new Promise((resolve) =>
            signal.addEventListener('abort', () => resolve(), { once: true }),
          ),
          release: () => undefined,
        },
        ground,
      },
    );
    return seedResult(seed, figures, said);
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const story = `${said}\n${reason}`;
    return { seed, outcome: 'failed', seconds: 0, faults: {}, objectFaults: 0, story };
  } finally {
    clearTimeout(limit);
    interruption.signal.removeEventListener('abort', end);
  }
}

// Said once by every client that is loaded: the Node that runs here is the user's own choice.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
letReaderGo(process.stdout);
letReaderGo(process.stderr);
process.exitCode = await main(process.argv.slice(2));
