import { GetShardIteratorCommand, KinesisClient, ListShardsCommand } from '@aws-sdk/client-kinesis';
import { describe, expect, it } from 'vitest';
import { askByArn } from '../../../shared/source/ask-by-arn.ts';

const ARN = 'arn:aws:kinesis:eu-west-1:222222222222:stream/orders';

/** A client that sends nothing: it notes the inputs that would have been sent. */
function client(asked: unknown[]): KinesisClient {
  const made = new KinesisClient({ region: 'eu-west-1' });
  made.middlewareStack.add(
    () => async (call) => {
      asked.push(call.input);
      return { output: { $metadata: {} }, response: {} };
    },
    { step: 'initialize', priority: 'low', name: 'noted' },
  );
  return made;
}

describe('a client that asks by ARN', () => {
  it('names the stream so that it is found in another account, and leaves all else as it is', async () => {
    const asked: unknown[] = [];
    const kinesis = askByArn(client(asked), [ARN]);
    await kinesis.send(new ListShardsCommand({ StreamName: 'orders' }));
    await kinesis.send(
      new GetShardIteratorCommand({ StreamName: 'orders', ShardId: 's', ShardIteratorType: 'TRIM_HORIZON' }),
    );
    await kinesis.send(new ListShardsCommand({ StreamName: 'another' }));
    await kinesis.send(new ListShardsCommand({ NextToken: 'more' }));
    kinesis.destroy();
    expect(asked).toEqual([
      { StreamARN: ARN },
      { StreamARN: ARN, ShardId: 's', ShardIteratorType: 'TRIM_HORIZON' },
      { StreamName: 'another' },
      { NextToken: 'more' },
    ]);
  });
});
