import { describeCloud } from './cloud-suite.ts';
import { deployedCloud } from './deployed-cloud.ts';

const environment = process.env['TIDEMARK_AWS_ENVIRONMENT'];
if (environment === undefined) {
  throw new Error('TIDEMARK_AWS_ENVIRONMENT is not set; npm run test:aws sets it.');
}

describeCloud(deployedCloud({ name: 'AWS', cannot: {}, environment, variables: {} }));
