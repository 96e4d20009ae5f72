export { pipeline, Stream, KeyedStream } from './pipeline/pipeline.ts';
export type { KeyState, PipelineOptions, PipelineStart } from './pipeline/pipeline.ts';
export type { DedupeOptions, WatermarkDedupeOptions } from './pipeline/dedupe.ts';
export type { Duration } from './pipeline/duration.ts';
export { kinesis } from './pipeline/kinesis.ts';
export type { KinesisInput, KinesisOutput } from './pipeline/kinesis.ts';
export { outputs, outputsOf } from './pipeline/outputs.ts';
export type { KeyedOutput } from './pipeline/outputs.ts';
export { session, sliding, tumbling } from './time/window-spec.ts';
export type { AlignedWindows, SessionWindows, WindowOptions, Windows } from './time/window-spec.ts';
export type { WindowBounds, WindowResult } from './time/window-operator.ts';
export type {
  DeclaredStates,
  KeyTimers,
  NoStates,
  ProcessContext,
  ProcessFunctions,
  ProcessTimers,
} from './time/process-operator.ts';
export { listState, mapState, valueState } from './time/process-states.ts';
export type { ListState, MapState, StateOptions, StateSpec, ValueState } from './time/process-states.ts';
export type { Joined, JoinOptions } from './pipeline/join.ts';
export { WindowedStream } from './pipeline/windowed-stream.ts';
export type { WindowedOptions } from './pipeline/windowed-stream.ts';
export { dynamodb } from './pipeline/dynamodb.ts';
export type { DynamoDbOutput } from './pipeline/dynamodb.ts';
export { lookupTable } from './pipeline/lookup.ts';
export type { LookupOptions, LookupTable } from './pipeline/lookup.ts';
export type { Pipeline, PipelineDefinition, Row } from './pipeline/definition.ts';
export type { OutputEnvelope } from './output/envelope.ts';
export type { DeadLetter } from './output/dead-letter-store.ts';
export { all } from './aggregation/all.ts';
export { collect } from './aggregation/collect.ts';
export { count } from './aggregation/count.ts';
export { countByValue } from './aggregation/count-by-value.ts';
export { distinct } from './aggregation/distinct.ts';
export { max, maxBy, min, minBy } from './aggregation/extreme.ts';
export { first, last } from './aggregation/first-last.ts';
export { frequent } from './aggregation/frequent.ts';
export { mean } from './aggregation/mean.ts';
export { stats, variance } from './aggregation/stats.ts';
export { sum } from './aggregation/sum.ts';
export { topN } from './aggregation/top-n.ts';
export { where } from './aggregation/where.ts';
export type { Aggregation, InvertibleAggregation } from './aggregation/aggregation.ts';
export type { ValueCount } from './aggregation/count-by-value.ts';
export type { Measured } from './aggregation/extreme.ts';
export type { FrequentValue } from './aggregation/frequent.ts';
export type { Stats } from './aggregation/stats.ts';
