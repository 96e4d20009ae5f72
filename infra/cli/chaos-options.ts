import { Command } from 'commander';
import { BATCH_SIZE, DEFAULT_PIPELINE, PARALLELIZATION_FACTOR, RECORDS, SEED } from './start-options.ts';
import { parseCommand, wholeNumber } from './parse-command.ts';
import { UsageError } from './usage-error.ts';

/** What `npm run chaos` was asked for. */
export interface ChaosOptions {
  readonly pipeline: string;
  /** A file's path; undefined for the built-in data. */
  readonly input: string | undefined;
  /** How many seeds are run, and the first of them. */
  readonly seeds: number;
  readonly from: number;
  /** Of each seed's run. */
  readonly records: number;
  readonly batchSize: number;
  readonly parallelizationFactor: number | undefined;
  readonly json: boolean;
}

const SEEDS = { lowest: 1, highest: 100_000 };
/** Small batches of few records: faults strike requests, and so a run of some seconds meets many. */
const DEFAULTS = { seeds: 50, from: 1, records: 1_000, batchSize: 25 };

/**
 * Reads the command line.
 * @returns undefined where only help was asked for and has been given.
 * @throws UsageError for an unknown option or pipeline, and for a number out of range.
 */
export function readChaosOptions(
  argv: readonly string[],
  pipelines: readonly string[],
): ChaosOptions | undefined {
  const command = new Command('npm run chaos --')
    .description(
      'Runs a pipeline on this machine under chaos, with one seed after the other, and compares each result with a ' +
        'plain fold of the input. Exits 1 where one differs, and says how to run it again.',
    )
    .option('--pipeline <name>', `which pipeline: ${pipelines.join(', ')}`, DEFAULT_PIPELINE)
    .option('--input <file>', 'your own data, one record a line')
    .option('--seeds <n>', 'how many seeds', wholeNumber(SEEDS), DEFAULTS.seeds)
    .option('--from <seed>', 'the first seed', wholeNumber(SEED), DEFAULTS.from)
    .option('--records <n>', 'records of the input for each seed', wholeNumber(RECORDS), DEFAULTS.records)
    .option('--batch-size <n>', 'records to a batch', wholeNumber(BATCH_SIZE), DEFAULTS.batchSize)
    .option(
      '--parallelization-factor <n>',
      'batches of one shard at a time',
      wholeNumber(PARALLELIZATION_FACTOR),
    )
    .option('--json', 'last line of standard output is one JSON object; all else goes to standard error');
  if (!parseCommand(command, argv)) return undefined;
  type Always = Pick<ChaosOptions, 'pipeline' | 'seeds' | 'from' | 'records' | 'batchSize'>;
  const { input, parallelizationFactor, json, ...given } = command.opts<Partial<ChaosOptions> & Always>();
  if (!pipelines.includes(given.pipeline)) {
    throw new UsageError(
      `There is no pipeline ${JSON.stringify(given.pipeline)}; there are: ${pipelines.join(', ')}.`,
    );
  }
  if (input === '-') {
    throw new UsageError(
      'Every seed reads the input anew, and standard input can be read once: give a file.',
    );
  }
  return { ...given, input, parallelizationFactor, json: json === true };
}

/** The command that runs one seed again. */
export function replayCommand(options: ChaosOptions, seed: number): string {
  const { pipeline, input, records, batchSize, parallelizationFactor } = options;
  return [
    'npm start --',
    `--chaos ${seed} --records ${records} --batch-size ${batchSize}`,
    ...(pipeline === DEFAULT_PIPELINE ? [] : [`--pipeline ${pipeline}`]),
    ...(input === undefined ? [] : [`--input ${JSON.stringify(input)}`]),
    ...(parallelizationFactor === undefined ? [] : [`--parallelization-factor ${parallelizationFactor}`]),
  ].join(' ');
}
