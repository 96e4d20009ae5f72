import { kinesisHandler } from '../../shared/lambda/handler.ts';
import arrivals from './pipeline.ts';

export const handler = kinesisHandler(arrivals);
