import { decoderOf, type Decode } from '../source/decode.ts';
import type {
  KeyedStage,
  KinesisSink,
  LookupStage,
  PipelineDefinition,
  Sink,
  StatefulStage,
  StatelessStage,
} from '../pipeline/definition.ts';
import { ENGINE_LIMITS, HORIZON_SLACK_SECONDS, type EngineLimits } from './limits.ts';

/** A stateful operator with its place among the cells of an item. */
export interface OperatorStep {
  readonly kind: 'operator';
  readonly operator: StatefulStage;
  readonly cell: number;
}

/** A sink with what its outputs are, given the operators before it. */
export interface SinkStep {
  readonly kind: 'sink';
  readonly sink: Sink;
  readonly isChange: boolean;
  /** The operator whose new state is the value itself, so that the outbox needs no copy of it. */
  readonly stateOf: OperatorStep | undefined;
  /** Its place among the sinks that publish a state itself; -1 for any other. */
  readonly direct: number;
}

export type KeyedStep = StatelessStage | LookupStage | OperatorStep | SinkStep;

/** An operator that waits for a time: its place among the steps, and that of its cell among the operators. */
export interface WaitingOperator {
  readonly place: number;
  readonly cell: number;
}

/** A pipeline's definition, made ready to run. */
export interface Program {
  readonly definition: PipelineDefinition;
  readonly decode: Decode;
  readonly steps: readonly KeyedStep[];
  readonly operators: readonly StatefulStage[];
  /** Sinks right behind an operator whose changes they publish, by `direct` of their step. */
  readonly directSinks: readonly (SinkStep & { stateOf: OperatorStep })[];
  /** Whether it matters for how long a key is not seen: only where a key that was never seen has a state. */
  readonly hasInitialState: boolean;
  /** Whether rows of other tables are looked up. */
  readonly hasLookups: boolean;
  readonly sinks: ReadonlyMap<string, Sink>;
  /** Operators that wait for event time, in order, by their place among the steps. */
  readonly timed: readonly WaitingOperator[];
  /** Of them those that wait for the clock, too. */
  readonly clocked: readonly WaitingOperator[];
  /**
   * The time within which what a record brings can come again, seconds: in a chained pipeline also in another record,
   * which may be put for as long as the records before it can come again.
   */
  readonly horizonSeconds: number;
  /** The time after a key's newest record at which an item without a state that still counts is as good as none. */
  readonly tombstoneSeconds: number;
  readonly limits: EngineLimits;
  /** Of the front of a repartition: the internal stream into which it puts what comes. It has no state then. */
  readonly relay?: KinesisSink;
}

/** The front of a pipeline's repartition as a program of its own; `undefined` where it has none. */
export function relayProgramOf({
  name,
  onRecordError,
  repartition,
}: PipelineDefinition): Program | undefined {
  if (repartition === undefined) return undefined;
  const { source, stages, key, sink } = repartition;
  const front = {
    name,
    onRecordError,
    source,
    stages,
    keyBy: key,
    keyedStages: [{ kind: 'sink', sink }],
  } as const;
  return { ...programOf(front), relay: sink };
}

export function programOf(definition: PipelineDefinition, limits = ENGINE_LIMITS): Program {
  const steps: KeyedStep[] = [];
  const operators: StatefulStage[] = [];
  const directSinks: (SinkStep & { stateOf: OperatorStep })[] = [];
  let lastOperator: OperatorStep | undefined;
  let isStateItself = false;
  for (const stage of definition.keyedStages) {
    const step = stepOf(stage, lastOperator, isStateItself, operators.length, directSinks.length);
    steps.push(step);
    if (isDirect(step)) directSinks.push(step);
    if (step.kind === 'operator') {
      operators.push(step.operator);
      // What a window gives is made of its state, and is not the state.
      isStateItself = step.operator.outputs === 'change' && step.operator.timers === undefined;
      if (step.operator.outputs !== 'same') lastOperator = step;
    } else if (step.kind !== 'sink') {
      isStateItself = false;
    }
  }
  const { retentionHours, chained } = definition.source;
  const upstreamHours = chained?.upstreamRetentionHours ?? 0;
  const horizonSeconds = (retentionHours + upstreamHours) * 3_600 + HORIZON_SLACK_SECONDS;
  return {
    definition,
    decode: decoderOf(definition.source),
    steps,
    operators,
    directSinks,
    hasLookups: steps.some(({ kind }) => kind === 'lookup'),
    hasInitialState: operators.some(({ initial }) => initial !== undefined),
    sinks: new Map(steps.flatMap((step) => (step.kind === 'sink' ? [[step.sink.name, step.sink]] : []))),
    timed: waitingIn(steps, ({ timers }) => timers !== undefined),
    clocked: waitingIn(steps, ({ timers }) => timers?.processing !== undefined),
    limits,
    horizonSeconds,
    tombstoneSeconds:
      horizonSeconds + Math.max(0, ...operators.map(({ forgetsAfterSeconds = 0 }) => forgetsAfterSeconds)),
  };
}

function waitingIn(
  steps: readonly KeyedStep[],
  waits: (operator: StatefulStage) => boolean,
): WaitingOperator[] {
  return steps.flatMap((step, place) =>
    step.kind === 'operator' && waits(step.operator) ? [{ place, cell: step.cell }] : [],
  );
}

function stepOf(
  stage: KeyedStage,
  lastOperator: OperatorStep | undefined,
  isStateItself: boolean,
  cell: number,
  direct: number,
): KeyedStep {
  if (stage.kind === 'stateful') return { kind: 'operator', operator: stage, cell };
  if (stage.kind !== 'sink') return stage;
  const { sink } = stage;
  // With a key function of the user's, a removed state's last change may stay beside that of another key.
  const ownKey = sink.kind === 'forEach' || sink.key === undefined;
  const stateOf = isStateItself && ownKey ? lastOperator : undefined;
  return {
    kind: 'sink',
    sink,
    isChange: lastOperator?.operator.outputs === 'change',
    stateOf,
    direct: stateOf === undefined ? -1 : direct,
  };
}

function isDirect(step: KeyedStep): step is SinkStep & { stateOf: OperatorStep } {
  return step.kind === 'sink' && step.stateOf !== undefined;
}
