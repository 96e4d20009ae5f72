import { PassThrough, Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import picocolors from 'picocolors';
import type { Pipeline } from '../../shared/pipeline/definition.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { type SharedGround, startSharedGround } from '../local/local-ground.ts';
import { PIPELINES } from '../pipelines.ts';
import { type ChaosOptions, readChaosOptions, replayCommand } from './chaos-options.ts';
import { chaosReport, faultTable, type SeedResult, seedResult } from './chaos-report.ts';
import { type Interruption, listenForInterruption } from './interruption.ts';
import { formatted, type PeopleStream } from './progress-display.ts';
import { runLocally } from './run-local.ts';
import { dynamoChoice } from './start-options.ts';
import { UsageError } from './usage-error.ts';

const EXIT = { fine: 0, failed: 1, badUsage: 2 } as const;

/** A run that takes longer does not come to its end: what was committed waits for something that does not happen. */
const SEED_LIMIT_MS = 15 * 60_000;
const STORY_CHARACTERS = 4_000;

/** `npm run chaos`: see chaos-options.ts for what it can do. @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const byName = new Map(PIPELINES.map(({ pipeline }) => [pipeline.definition.name, pipeline]));
  let options: ChaosOptions | undefined;
  let dynamo;
  try {
    options = readChaosOptions(argv, [...byName.keys()]);
    dynamo = dynamoChoice(process.env['TIDEMARK_DYNAMODB']);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\nnpm run chaos -- --help lists what there is.\n`);
    return EXIT.badUsage;
  }
  const pipeline = options && byName.get(options.pipeline);
  if (options === undefined || pipeline === undefined) return EXIT.fine;

  const people: PeopleStream = options.json ? process.stderr : process.stdout;
  const isColoured = people.isTTY === true && (process.env['NO_COLOR'] ?? '') === '';
  const colors = picocolors.createColors(isColoured);
  const interruption = listenForInterruption(
    () => systemClock.nowMs(),
    () => people.write('\nStopping … (Ctrl-C again ends at once)\n'),
  );
  const { batchSize, parallelizationFactor, seeds, from } = options;
  const results: SeedResult[] = [];
  const bar = people.isTTY === true ? new SingleBar({ stream: people, clearOnComplete: true }) : undefined;
  const ground = await startSharedGround({
    pipelines: [options.pipeline],
    overrides: { batchSize, ...(parallelizationFactor !== undefined && { parallelizationFactor }) },
    dynamo,
    onNotice: (text) => people.write(`${colors.dim(`· ${text}`)}\n`),
  });
  try {
    bar?.start(seeds, 0);
    for (let seed = from; seed < from + seeds && !interruption.signal.aborted; seed++) {
      const result = await runSeed(seed, options, pipeline, ground, interruption);
      if (interruption.signal.aborted) break;
      results.push(result);
      if (bar === undefined || result.outcome !== 'equal') say(result);
      bar?.update(results.length);
    }
  } finally {
    bar?.stop();
    await ground.stop();
    interruption.release();
  }
  if (results.length === 0) return EXIT.failed;
  const replay = (seed: number): string => replayCommand(options, seed);
  const report = chaosReport(results, replay);
  const { shortest, mean, longest } = report.seconds;
  people.write(
    `${faultTable(report, results, isColoured)}\n` +
      `${formatted(report.seeds)} seeds, ${formatted(report.totalFaults)} faults, ` +
      `${formatted(report.deadLetterFaults)} of them at the storing of dead letters; ` +
      `${shortest.toFixed(1)} to ${longest.toFixed(1)} s a seed, ${mean.toFixed(1)} s on average.\n`,
  );
  if (report.violations.length === 0)
    people.write(colors.green('Every seed gave the state and the dead letters of a plain fold.\n'));
  for (const { seed, outcome } of report.violations)
    people.write(colors.red(`Seed ${seed} ${outcome}: ${replay(seed)}\n`));
  if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.violations.length === 0 && !interruption.signal.aborted ? EXIT.fine : EXIT.failed;

  function say({ seed, outcome, seconds, faults, story }: SeedResult): void {
    const count = Object.values(faults).reduce((sum, each) => sum + each, 0);
    const line = `seed ${seed}: ${outcome}, ${formatted(count)} faults, ${seconds.toFixed(1)} s`;
    people.write(
      `${outcome === 'equal' ? line : colors.red(`${line}\n${story.slice(-STORY_CHARACTERS)}`)}\n`,
    );
  }
}

async function runSeed(
  seed: number,
  options: ChaosOptions,
  pipeline: Pipeline,
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
        persist: undefined,
        verbose: false,
        dynamo: 'auto',
      },
      pipeline,
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
    return { seed, outcome: 'failed', seconds: 0, faults: {}, deadLetterFaults: 0, story };
  } finally {
    clearTimeout(limit);
    interruption.signal.removeEventListener('abort', end);
  }
}

// Said once by every client that is loaded: the Node that runs here is the user's own choice.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
process.exitCode = await main(process.argv.slice(2));
