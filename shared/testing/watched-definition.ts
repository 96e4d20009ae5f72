import { inspect } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type {
  FoldContext,
  KeyedStage,
  LookupStage,
  PipelineDefinition,
  Sink,
  StateCell,
  StatefulStage,
  StatelessStage,
} from '../pipeline/definition.ts';
import { watchingOutside } from './outside-world.ts';

/** One call of a user's function, as texts that can be compared and shown. */
export interface Call {
  /** Number of the record. */
  readonly record: number;
  /** Which function, in words: `operator 'delays'`. */
  readonly name: string;
  /** Everything it was given: values, key, state that it read. */
  readonly input: string;
  /** What it gave, wrote or threw. */
  readonly output: string;
  /** Whether it changed the value that it was given. */
  readonly hasChangedInput: boolean;
  /** What it asked clock and chance for. */
  readonly uses: readonly string[];
}

/** Writes down what a user's functions are given and give. */
export class CallLog {
  readonly calls: Call[] = [];
  /** Number of the record that runs. */
  record = 0;
  readonly #days: number;

  /** @param days see `watchingOutside`. */
  constructor(days: number) {
    this.#days = days;
  }

  /** @param reads filled while the function runs: state that it reads; `writes` likewise. */
  watch<T>(
    name: string,
    given: readonly unknown[],
    run: () => T,
    reads: readonly string[] = [],
    writes: readonly string[] = [],
  ): T {
    const before = textOf(given);
    const uses = new Set<string>();
    let output = '';
    try {
      const result = watchingOutside(this.#days, (source) => uses.add(source), run);
      output = textOf(result);
      return result;
    } catch (error) {
      output = `throws ${String(error)}`;
      throw error;
    } finally {
      this.calls.push({
        record: this.record,
        name,
        input: `${before}${reads.map((read) => `, state ${read}`).join('')}`,
        output: `${output}${writes.map((write) => `, ${write}`).join('')}`,
        hasChangedInput: textOf(given) !== before,
        uses: [...uses],
      });
    }
  }
}

/** A value as text: equal texts for equal values, whatever objects they are made of. */
export function textOf(value: unknown): string {
  return inspect(value, {
    depth: Infinity,
    sorted: true,
    breakLength: Infinity,
    maxArrayLength: null,
    maxStringLength: null,
  });
}

/**
 * The same pipeline with every function of the user's watched; those of `forEach` sinks, which are not called here.
 * @param keyName what the function that gives the key is called, in words.
 */
export function watchedDefinition(
  definition: PipelineDefinition,
  log: CallLog,
  keyName: string,
): PipelineDefinition {
  const { source, stages, keyBy, keyedStages } = definition;
  return {
    ...definition,
    source: source.schema === undefined ? source : { ...source, schema: watchedSchema(source.schema, log) },
    stages: stages.map((stage, place) => watchedStateless(stage, `${stage.kind} (step ${place + 1})`, log)),
    keyBy: (value) => log.watch(keyName, [value], () => keyBy(value)),
    keyedStages: keyedStages.map((stage, place) => watchedKeyed(stage, place, log)),
  };
}

function watchedSchema(schema: StandardSchemaV1, log: CallLog): StandardSchemaV1 {
  const standard = schema['~standard'];
  const validate: typeof standard.validate = (value) =>
    log.watch('the schema', [value], () => standard.validate(value));
  return { '~standard': { ...standard, validate } };
}

function watchedKeyed(stage: KeyedStage, place: number, log: CallLog): KeyedStage {
  switch (stage.kind) {
    case 'stateful':
      return watchedOperator(stage, log);
    case 'sink':
      return { kind: 'sink', sink: watchedSink(stage.sink, log) };
    case 'lookup':
      return watchedLookup(stage, log);
    default:
      return watchedStateless(stage, `${stage.kind} (step ${place + 1} behind keyBy)`, log);
  }
}

function watchedLookup(stage: LookupStage, log: CallLog): LookupStage {
  const { lookup, of, apply } = stage;
  const what = `${of === undefined ? 'broadcast' : 'lookup'} of table '${lookup.table}'`;
  return {
    ...stage,
    ...(of && {
      of: (value, key) => log.watch(`the key of the ${what}`, [value, key], () => of(value, key)),
    }),
    apply: (value, found, key) => log.watch(what, [value, found, key], () => apply(value, found, key)),
  };
}

function watchedStateless<S extends StatelessStage>(stage: S, name: string, log: CallLog): S {
  const apply = (value: unknown): unknown =>
    log.watch(name, [value], () =>
      // A generator runs only when it is asked.
      stage.kind === 'flatMap' ? [...stage.apply(value)] : stage.apply(value),
    );
  return { ...stage, apply };
}

function watchedSink(sink: Sink, log: CallLog): Sink {
  if (sink.kind === 'forEach' || sink.key === undefined) return sink;
  const { key } = sink;
  return {
    ...sink,
    key: (value: unknown, stateKey: string) =>
      log.watch(`the key function of sink '${sink.name}'`, [value, stateKey], () => key(value, stateKey)),
  };
}

function watchedOperator(stage: StatefulStage, log: CallLog): StatefulStage {
  const { name, fold, initial } = stage;
  return {
    ...stage,
    ...(initial && {
      initial: (key: string) => log.watch(`initial of operator '${name}'`, [key], () => initial(key)),
    }),
    fold: (key: string, value: unknown, state: StateCell, context: FoldContext) => {
      const reads: string[] = [];
      const writes: string[] = [];
      const read = <T>(found: T): T => {
        // As it was read: the function may change it in place.
        reads.push(textOf(found));
        return found;
      };
      const cell: StateCell = {
        get: () => read(state.get()),
        copy: () => read(state.copy()),
        set: (next) => {
          writes.push(`sets the state to ${textOf(next)}`);
          state.set(next);
        },
        remove: () => {
          writes.push('removes the state');
          state.remove();
        },
      };
      return log.watch(
        `operator '${name}'`,
        [value, key],
        () => fold(key, value, cell, context),
        reads,
        writes,
      );
    },
  };
}
