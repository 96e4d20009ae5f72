import { kinesisHandler } from '../../shared/lambda/handler.ts';
import airportTraffic from './pipeline.ts';

export const handler = kinesisHandler(airportTraffic);
