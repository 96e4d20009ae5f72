import { ConfigurationError } from '../pipeline/configuration-error.ts';
import { sinksOf, type PipelineDefinition } from '../pipeline/definition.ts';
import { ENVIRONMENT, sinkVariable } from './environment.ts';

/** What a deployed function is told by its environment. */
export interface Settings {
  readonly stateTable: string;
  readonly bucket: string;
  readonly parallelizationFactor: number;
  readonly writes: 'partiql' | 'single';
  /** Physical name of the stream or table, by sink name; of a repartition's internal stream by its name. */
  readonly sinks: ReadonlyMap<string, string>;
}

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
  if (problems.length > 0) {
    throw new ConfigurationError(
      `The function of pipeline '${definition.name}' cannot run: ${problems.join('; ')}. The StatefulPipeline ` +
        'construct sets these variables; a function that is deployed in another way needs them too.',
    );
  }
  return { stateTable, bucket, parallelizationFactor: factor, writes: writes as Settings['writes'], sinks };
}
