import { kinesisHandler } from '../../shared/lambda/handler.ts';
import airportDelays from './pipeline.ts';

export const handler = kinesisHandler(airportDelays);
