import { Duration } from 'aws-cdk-lib';
import { localStackVariables } from '../../infra/deploy/localstack.ts';
import { startLocalStackGround } from '../../infra/deploy/localstack-ground.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from '../../infra/local/engines/local-account.ts';
import { describeCloud } from './cloud-suite.ts';
import { deployedCloud } from './deployed-cloud.ts';
import { localFunctions } from './local-functions.ts';

const endpoint = process.env['LOCALSTACK_ENDPOINT'];
if (endpoint === undefined)
  throw new Error('LOCALSTACK_ENDPOINT is not set; npm run test:localstack sets it.');

describeCloud(
  process.env['LOCALSTACK_LAMBDA'] === 'local'
    ? localFunctions('LocalStack, with functions in local processes', (app) =>
        startLocalStackGround(endpoint, app),
      )
    : deployedCloud({
        name: 'LocalStack',
        cannot: {},
        environment: 'suite',
        variables: localStackVariables(endpoint),
        // With a window, its poller holds records; when a shard closes it reads all shards again and puts what it reads
        // behind those that it holds, in one event, which no order of a shard has and the function refuses for ever.
        overrides: { maximumBatchingWindow: Duration.seconds(0) },
        bootstrap: `aws://${LOCAL_ACCOUNT}/${LOCAL_REGION}`,
      }),
);
