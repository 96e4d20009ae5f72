import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { EngineEndpoints } from './engine-endpoints.ts';
import { LOCAL_CREDENTIALS, LOCAL_REGION } from './local-account.ts';

export interface EngineClients {
  readonly kinesis: KinesisClient;
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
  readonly sqs: SQSClient;
}

/** Clients for the engines. Whoever makes them destroys them before the engines stop. */
export function createEngineClients(endpoints: EngineEndpoints): EngineClients {
  const common = { region: LOCAL_REGION, credentials: LOCAL_CREDENTIALS };
  return {
    // HTTP/1.1, because the client's default of HTTP/2 fails now and then on kinesis-mock's plain port.
    kinesis: new KinesisClient({
      ...common,
      endpoint: endpoints.kinesis,
      requestHandler: new NodeHttpHandler(),
    }),
    dynamodb: new DynamoDBClient({ ...common, endpoint: endpoints.dynamodb }),
    s3: new S3Client({ ...common, endpoint: endpoints.s3, forcePathStyle: true }),
    // The endpoint of this client, not the one inside a queue URL: a URL may come from a run with other ports.
    sqs: new SQSClient({ ...common, endpoint: endpoints.sqs, useQueueUrlAsEndpoint: false }),
  };
}

export function destroyEngineClients(clients: EngineClients): void {
  clients.kinesis.destroy();
  clients.dynamodb.destroy();
  clients.s3.destroy();
  clients.sqs.destroy();
}
