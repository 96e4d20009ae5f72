import { kinesisHandler } from '../../shared/lambda/handler.ts';
import clickSessions from './pipeline.ts';

export const handler = kinesisHandler(clickSessions);
