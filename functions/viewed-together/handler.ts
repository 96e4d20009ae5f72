import { kinesisHandler } from '../../shared/lambda/handler.ts';
import viewedTogether from './pipeline.ts';

export const handler = kinesisHandler(viewedTogether);
