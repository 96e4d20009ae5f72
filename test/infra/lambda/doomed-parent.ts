// A process of its own that starts Lambda, leaves one environment frozen and one busy, and waits to be killed.
import { startLambda } from '../../../infra/local/lambda/local-lambda.ts';
import { systemClock } from '../../../shared/time/clock.ts';

const [codeDirectory = ''] = process.argv.slice(2);
const configuration = {
  name: 'orphan',
  codeDirectory,
  handler: 'index.handler',
  timeoutSeconds: 900,
  memoryMb: 256,
  environment: {},
  region: 'eu-central-1',
  arn: 'arn:aws:lambda:eu-central-1:000000000000:function:orphan',
};
const lambda = await startLambda({
  functions: [configuration, { ...configuration, name: 'busy' }],
  clock: systemClock,
  maximumEnvironments: 2,
  onLog: (line) => process.stderr.write(`${line}\n`),
});
await lambda.invoke('orphan', {});
await lambda.invoke('busy', { loop: true });
