import { Logger } from '@aws-lambda-powertools/logger';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, onTestFinished, vi } from 'vitest';
import { kinesis, pipeline } from '../../../shared/index.ts';
import { makeContainer } from '../../../shared/lambda/container.ts';

const ARN = 'arn:aws:kinesis:eu-west-1:222222222222:stream/orders';

afterEach(() => vi.unstubAllEnvs());

it('reads a stream of another account once more, which it finds by its ARN alone', async () => {
  const asked: unknown[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked.push(JSON.parse(Buffer.concat(parts).toString()));
      const isIterator = String(request.headers['x-amz-target']).endsWith('GetShardIterator');
      response.setHeader('content-type', 'application/x-amz-json-1.1');
      response.end(
        isIterator
          ? '{"ShardIterator":"i"}'
          : '{"Records":[{"SequenceNumber":"7","PartitionKey":"p","Data":"MQ==","ApproximateArrivalTimestamp":1}]}',
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  for (const [name, value] of Object.entries({
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_KINESIS: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  })) {
    vi.stubEnv(name, value);
  }
  const { definition } = pipeline('orders')
    .from(kinesis<number>('orders'))
    .keyBy(() => 'k');
  const environment = {
    TIDEMARK_STATE_TABLE: 'state',
    TIDEMARK_BUCKET: 'bucket',
    TIDEMARK_STREAM_ARNS: ARN,
  };
  const { runtime } = await makeContainer(definition, environment, { nowMs: () => 0 }, new Logger());
  const position = { sequence: '7', sub: 0 };
  const shard = { stream: 'orders', streamArn: ARN, shardId: 'shardId-000000000000', shard: 'x/0' };
  const batch = await runtime.shardRecords?.from(shard, position, position, () => true);
  expect(batch?.records).toMatchObject([{ position }]);
  expect(asked[0]).toEqual({
    StreamARN: ARN,
    ShardId: 'shardId-000000000000',
    ShardIteratorType: 'AT_SEQUENCE_NUMBER',
    StartingSequenceNumber: '7',
  });
});
