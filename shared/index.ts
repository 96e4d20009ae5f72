export { pipeline, Stream, KeyedStream } from './pipeline/pipeline.ts';
export type { KeyState, PipelineOptions, PipelineStart } from './pipeline/pipeline.ts';
export { kinesis } from './pipeline/kinesis.ts';
export type { KinesisInput, KinesisOutput } from './pipeline/kinesis.ts';
export { dynamodb } from './pipeline/dynamodb.ts';
export type { DynamoDbOutput } from './pipeline/dynamodb.ts';
export type { Pipeline, PipelineDefinition } from './pipeline/definition.ts';
export type { OutputEnvelope } from './output/envelope.ts';
export type { DeadLetter } from './output/dead-letter-store.ts';
