import type { KinesisClient } from '@aws-sdk/client-kinesis';

/**
 * Has a client ask for these streams by their ARNs where it is told to ask by name: by its name alone Kinesis looks for a
 * stream in the caller's own account.
 * @returns the same client.
 */
export function askByArn(client: KinesisClient, streamArns: readonly string[]): KinesisClient {
  const arns = new Map(streamArns.map((arn) => [arn.slice(arn.lastIndexOf('/') + 1), arn]));
  client.middlewareStack.add(
    (next) => async (call) => {
      const { StreamName, ...input } = call.input as { readonly StreamName?: string };
      const StreamARN = StreamName === undefined ? undefined : arns.get(StreamName);
      return next(StreamARN === undefined ? call : { ...call, input: { ...input, StreamARN } });
    },
    { step: 'initialize', name: 'askByArn', override: true },
  );
  return client;
}
