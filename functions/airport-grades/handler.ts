import { kinesisHandler } from '../../shared/lambda/handler.ts';
import airportGrades from './pipeline.ts';

export const handler = kinesisHandler(airportGrades);
