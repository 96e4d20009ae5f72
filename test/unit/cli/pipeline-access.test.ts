import { ListShardsCommand } from '@aws-sdk/client-kinesis';
import { expect, it } from 'vitest';
import { access } from '../../../infra/cli/pipeline-access.ts';
import { OUTPUTS } from '../../../infra/stack-names.ts';

const ARN = 'arn:aws:kinesis:eu-central-1:999999999999:stream/theirs';
const NAMES = {
  [OUTPUTS.bucket]: 'b',
  [OUTPUTS.function]: 'f',
  [OUTPUTS.streams]: 'theirs',
};

/** What is asked of Kinesis about the stream of a stack with these outputs. */
async function asked(outputs: Readonly<Record<string, string>>): Promise<unknown> {
  const options = { region: 'eu-central-1', credentials: { accessKeyId: 'a', secretAccessKey: 's' } };
  const pipeline = access('p', outputs, options, options, options, options);
  let body: unknown;
  pipeline.kinesis.middlewareStack.add(
    () => async (call) => {
      body = JSON.parse((call.request as { body: string }).body);
      throw new Error('asked');
    },
    { step: 'finalizeRequest', priority: 'high' },
  );
  const [StreamName] = pipeline.streams;
  await expect(pipeline.kinesis.send(new ListShardsCommand({ StreamName }))).rejects.toThrow('asked');
  pipeline.close();
  return body;
}

it('asks for a stream by its ARN, by which one of another account is found too', async () => {
  expect(await asked({ ...NAMES, [OUTPUTS.streamArns]: ARN })).toEqual({ StreamARN: ARN });
});

it('asks by name where an earlier version has deployed the stack', async () => {
  expect(await asked(NAMES)).toEqual({ StreamName: 'theirs' });
});
