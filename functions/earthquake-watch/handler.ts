import { kinesisHandler } from '../../shared/lambda/handler.ts';
import earthquakeWatch from './pipeline.ts';

export const handler = kinesisHandler(earthquakeWatch);
