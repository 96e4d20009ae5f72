import { describeCloud } from './cloud-suite.ts';
import { ownCloud } from './local-functions.ts';

describeCloud(ownCloud());
