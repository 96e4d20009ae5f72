import { Command, Option } from 'commander';
import { parseCommand, wholeNumber } from './parse-command.ts';
import { UsageError } from './usage-error.ts';

/** What `npm start` was asked for. */
export interface StartOptions {
  readonly pipeline: string;
  /** A file's path, or `-` for standard input; undefined for the built-in data. */
  readonly input: string | undefined;
  /** How many lines of the input are sent; undefined for all. */
  readonly records: number | undefined;
  readonly shards: number | undefined;
  readonly batchSize: number | undefined;
  readonly parallelizationFactor: number | undefined;
  readonly untilDrained: boolean;
  readonly json: boolean;
  readonly dumpState: string | undefined;
  readonly dumpTables: string | undefined;
  readonly chaos: number | undefined;
  readonly persist: string | undefined;
  readonly verbose: boolean;
  readonly dynamo: DynamoChoice;
}

const DYNAMO_CHOICES = ['auto', 'java', 'dynalite'] as const;
export type DynamoChoice = (typeof DYNAMO_CHOICES)[number];

export const DEFAULT_PIPELINE = 'airport-delays';
/** Shards of the embedded engine; each is a queue of its own on this machine. */
const SHARDS = { lowest: 1, highest: 100 };
/** BatchSize of an event source mapping [AWS::Lambda::EventSourceMapping]. */
export const BATCH_SIZE = { lowest: 1, highest: 10_000 };
/** ParallelizationFactor of an event source mapping [AWS::Lambda::EventSourceMapping]. */
export const PARALLELIZATION_FACTOR = { lowest: 1, highest: 10 };
export const RECORDS = { lowest: 1, highest: Number.MAX_SAFE_INTEGER };
export const SEED = { lowest: 0, highest: 2 ** 31 - 1 };

/**
 * Reads the command line.
 * @returns undefined where only help was asked for and has been given.
 * @throws UsageError for an unknown option, pipeline or choice, and for a number out of range.
 */
export function readStartOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  pipelines: readonly string[],
): StartOptions | undefined {
  const command = startCommand(pipelines);
  if (!parseCommand(command, argv)) return undefined;
  type Given = Omit<StartOptions, 'dynamo'>;
  const {
    input,
    records,
    shards,
    batchSize,
    parallelizationFactor,
    dumpState,
    dumpTables,
    chaos,
    persist,
    ...given
  } = command.opts<Partial<Given> & Pick<Given, 'pipeline'>>();
  if (!pipelines.includes(given.pipeline)) {
    throw new UsageError(
      `There is no pipeline ${JSON.stringify(given.pipeline)}; there are: ${pipelines.join(', ')}. ` +
        'Pipelines are listed in infra/pipelines.ts.',
    );
  }
  if (chaos !== undefined && persist !== undefined) {
    throw new UsageError(
      '--chaos compares the state with this input alone, so it starts empty: leave --persist out.',
    );
  }
  return {
    pipeline: given.pipeline,
    input,
    records,
    shards,
    batchSize,
    parallelizationFactor,
    untilDrained: given.untilDrained === true || chaos !== undefined,
    json: given.json === true,
    dumpState,
    dumpTables,
    chaos,
    persist,
    verbose: given.verbose === true,
    dynamo: dynamoChoice(environment['TIDEMARK_DYNAMODB']),
  };
}

function startCommand(pipelines: readonly string[]): Command {
  return new Command('npm start --')
    .description(
      'Runs a pipeline on this machine: synthesizes its CDK stack, brings up what the template says (Kinesis, DynamoDB, ' +
        'S3, SQS and Lambda in local processes, on 127.0.0.1), streams data in and shows what becomes of it. ' +
        'It stays up until Ctrl-C.',
    )
    .option(
      '--pipeline <name>',
      `which pipeline, with those that feed it: ${pipelines.join(', ')}`,
      DEFAULT_PIPELINE,
    )
    .option('--input <file>', 'your own data, one record a line (NDJSON, or text); "-" is standard input')
    .option('--records <n>', 'only the first so many records of the input', wholeNumber(RECORDS))
    .option('--shards <n>', 'shards of the source stream', wholeNumber(SHARDS))
    .option('--batch-size <n>', 'records to a batch', wholeNumber(BATCH_SIZE))
    .option(
      '--parallelization-factor <n>',
      'batches of one shard at a time',
      wholeNumber(PARALLELIZATION_FACTOR),
    )
    .option('--until-drained', 'exit once all is processed, instead of staying up')
    .option(
      '--json',
      'last line of standard output is one JSON object of figures; all else goes to standard error',
    )
    .option(
      '--dump-state <file>',
      'write the final state, one {"key","state"} a line, sorted by key; of pipelines that feed it, beside it',
    )
    .option(
      '--dump-tables <file>',
      'write what the pipelines have put into tables, one {"table","key","value"} a line, sorted by key',
    )
    .option(
      '--chaos <seed>',
      'kill, throttle, repeat and split while it runs, then compare the state with a plain fold of the input; exits 1 on a difference',
      wholeNumber(SEED),
    )
    .option(
      '--persist <dir>',
      'keep state, stream and positions in a folder, and go on there the next time; built-in data is sent once, ' +
        'an --input file from the line after the last one sent',
    )
    .addOption(new Option('--verbose', 'show every line of the functions’ logs, on standard error'))
    .addHelpText(
      'after',
      `
Examples:
  npm start                                          the 20,000 flights, and stay up
  npm start -- --until-drained --json                figures for a script
  npm start -- --chaos 7                             prove that nothing is lost or counted twice
  npm start -- --pipeline word-count --input a.txt   your own data
  cat flights.ndjson | npm start -- --input -

TIDEMARK_DYNAMODB=java|dynalite|auto chooses the engine that plays DynamoDB; auto takes DynamoDB Local where
Java 17 or later is present. Exit codes: 0 fine, 1 the comparison or the local cloud failed, 2 bad usage or input.`,
    );
}

/** @throws UsageError for what is no choice. */
export function dynamoChoice(value: string | undefined): DynamoChoice {
  const chosen = DYNAMO_CHOICES.find((choice) => choice === (value ?? 'auto'));
  if (chosen !== undefined) return chosen;
  throw new UsageError(
    `TIDEMARK_DYNAMODB is ${JSON.stringify(value)}; allowed are ${DYNAMO_CHOICES.join(', ')}.`,
  );
}
