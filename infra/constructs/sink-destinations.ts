import { Duration } from 'aws-cdk-lib';
import { Stream, StreamMode, type IStream } from 'aws-cdk-lib/aws-kinesis';
import type { Construct } from 'constructs';
import { sinksOf } from '../../shared/pipeline/definition.ts';
import { DEFAULTS } from './defaults.ts';
import { keyedTable, type AnyTable } from './keyed-table.ts';
import { streamEncryption } from './source-stream.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/** Where a pipeline's outputs go, by sink name. Sinks with the same logical destination share one resource. */
export interface SinkDestinations {
  readonly streams: ReadonlyMap<string, IStream>;
  readonly tables: ReadonlyMap<string, AnyTable>;
  /** Of the streams, those that were made here: each once. */
  readonly createdStreams: readonly Stream[];
}

/** The given streams and tables of the sinks, and new ones where none is given. */
export function sinkDestinations(scope: Construct, props: StatefulPipelineProps): SinkDestinations {
  const removalPolicy = props.removalPolicy ?? DEFAULTS.removalPolicy;
  const createdStreams = new Map<string, Stream>();
  const createdTables = new Map<string, AnyTable>();
  const streams = new Map<string, IStream>();
  const tables = new Map<string, AnyTable>();

  for (const sink of sinksOf(props.pipeline.definition)) {
    if (sink.kind === 'kinesis') {
      const given = props.sinkStreams?.[sink.name];
      if (given !== undefined) {
        streams.set(sink.name, given);
        continue;
      }
      const hours = props.sinkRetentionHours?.[sink.name];
      const stream =
        createdStreams.get(sink.stream) ??
        new Stream(scope, `SinkStream-${sink.stream}`, {
          ...(props.sinkShardCount === undefined
            ? { streamMode: StreamMode.ON_DEMAND }
            : { streamMode: StreamMode.PROVISIONED, shardCount: props.sinkShardCount }),
          ...(hours === undefined ? {} : { retentionPeriod: Duration.hours(hours) }),
          ...streamEncryption(props.encryptionKey),
          removalPolicy,
        });
      createdStreams.set(sink.stream, stream);
      streams.set(sink.name, stream);
    } else if (sink.kind === 'dynamodb') {
      const table =
        props.sinkTables?.[sink.name] ??
        createdTables.get(sink.table) ??
        keyedTable(scope, `SinkTable-${sink.table}`, {
          removalPolicy,
          encryptionKey: props.encryptionKey,
        });
      createdTables.set(sink.table, table);
      tables.set(sink.name, table);
    }
  }
  return { streams, tables, createdStreams: [...createdStreams.values()] };
}
