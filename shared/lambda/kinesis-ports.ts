import { KinesisClient } from '@aws-sdk/client-kinesis';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { KinesisSinkPort } from '../output/kinesis-sink.ts';
import type { SinkPort } from '../output/sink-port.ts';
import { REQUEST_LIMITS } from './request-limits.ts';
import type { Trace } from './trace.ts';

/** Its own module, loaded by pipelines that write to Kinesis. */
export function kinesisSinkPort(streamName: string, lineage: string, trace: Trace): SinkPort {
  // HTTP/1.1: PutRecords gains nothing from HTTP/2, which not every endpoint speaks.
  const client = trace.client(new KinesisClient({ requestHandler: new NodeHttpHandler(REQUEST_LIMITS) }));
  return new KinesisSinkPort(client, streamName, lineage);
}
