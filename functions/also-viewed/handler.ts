import { kinesisHandler } from '../../shared/lambda/handler.ts';
import alsoViewed from './pipeline.ts';

export const handler = kinesisHandler(alsoViewed);
