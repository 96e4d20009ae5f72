import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { lookupTablesOf, sinksOf, type PipelineDefinition } from '../pipeline/definition.ts';
import { CHECKPOINT_DEFAULTS, type Retention } from '../checkpoint/checkpoint-defaults.ts';
import { ENVIRONMENT, lookupVariable, sinkVariable } from './environment.ts';

/** What a deployed function is told by its environment. */
export interface Settings {
  readonly stateTable: string;
  readonly bucket: string;
  readonly parallelizationFactor: number;
  readonly writes: 'partiql' | 'single';
  /** Physical names of the streams that the pipeline reads; none where nobody said. */
  readonly streams: readonly string[];
  readonly streamArns: readonly string[];
  /** Hash of the code. */
  readonly code?: string;
  readonly retention: Retention;
  /** Every so many checkpoints one is full; 1 where all are. */
  readonly fullEvery: number;
  /** Of the function, MiB. */
  readonly memoryMb: number;
  /** Read units a second that a checkpoint may use. */
  readonly checkpointReadUnits: number;
  /** Physical name of the stream or table, by sink name; of a repartition's internal stream by its name. */
  readonly sinks: ReadonlyMap<string, string>;
  /** Physical names of the tables in which rows are looked up, by their logical names. */
  readonly lookups: ReadonlyMap<string, string>;
  /** Whether a new table waits until the pipeline is made a fork of another. */
  readonly awaitsFork: boolean;
}

/** No function has less: what holds where nobody said. */
const LEAST_MEMORY_MB = 128;

const PARALLELIZATION_FACTORS = { lowest: 1, highest: 10 } as const;

/** @throws ConfigurationError that names every variable that is missing or wrong. */
export function readSettings(
  definition: PipelineDefinition,
  environment: Readonly<Record<string, string | undefined>>,
): Settings {
  const problems: string[] = [];
  const required = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === '') problems.push(`${name} is missing`);
    return value ?? '';
  };
  const stateTable = required(ENVIRONMENT.stateTable);
  const bucket = required(ENVIRONMENT.bucket);
  const sinks = new Map<string, string>();
  const { repartition } = definition;
  for (const sink of [...sinksOf(definition), ...(repartition === undefined ? [] : [repartition.sink])]) {
    if (sink.kind !== 'forEach') sinks.set(sink.name, required(sinkVariable(sink.name)));
  }
  const lookups = new Map(
    lookupTablesOf(definition).map((table) => [table, required(lookupVariable(table))]),
  );
  const factor = Number(environment[ENVIRONMENT.parallelizationFactor] ?? '1');
  const { lowest, highest } = PARALLELIZATION_FACTORS;
  if (!Number.isInteger(factor) || factor < lowest || factor > highest) {
    problems.push(
      `${ENVIRONMENT.parallelizationFactor} is '${environment[ENVIRONMENT.parallelizationFactor]}', allowed are ` +
        `${lowest} to ${highest}`,
    );
  }
  const writes = environment[ENVIRONMENT.writes] ?? 'partiql';
  if (writes !== 'partiql' && writes !== 'single') {
    problems.push(`${ENVIRONMENT.writes} is '${writes}', allowed are 'partiql' and 'single'`);
  }
  const wholeNumber = (name: string, otherwise: number): number => {
    const text = environment[name] ?? String(otherwise);
    if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
      problems.push(`${name} is '${text}', allowed are whole numbers from 1`);
    }
    return Number(text);
  };
  const retention = {
    keepLast: wholeNumber(ENVIRONMENT.keepLast, CHECKPOINT_DEFAULTS.retention.keepLast),
    keepDaily: wholeNumber(ENVIRONMENT.keepDaily, CHECKPOINT_DEFAULTS.retention.keepDaily),
  };
  const fullEvery = wholeNumber(ENVIRONMENT.fullEvery, CHECKPOINT_DEFAULTS.fullEvery);
  const memoryMb = wholeNumber(ENVIRONMENT.memoryMb, LEAST_MEMORY_MB);
  const checkpointReadUnits = wholeNumber(
    ENVIRONMENT.checkpointReadUnits,
    CHECKPOINT_DEFAULTS.readUnitsPerSecond,
  );
  const listed = (name: string): string[] =>
    (environment[name] ?? '').split(',').filter((each) => each !== '');
  const code = environment[ENVIRONMENT.code];
  if (problems.length > 0) {
    throw new ConfigurationError(
      `The function of pipeline '${definition.name}' cannot run: ${problems.join('; ')}. The StatefulPipeline ` +
        'construct sets these variables; a function that is deployed in another way needs them too.',
    );
  }
  return {
    stateTable,
    bucket,
    parallelizationFactor: factor,
    writes: writes as Settings['writes'],
    streams: listed(ENVIRONMENT.streams),
    streamArns: listed(ENVIRONMENT.streamArns),
    ...(code !== undefined && code !== '' && { code }),
    retention,
    fullEvery,
    memoryMb,
    checkpointReadUnits,
    sinks,
    lookups,
    awaitsFork: (environment[ENVIRONMENT.forkOf] ?? '') !== '',
  };
}
