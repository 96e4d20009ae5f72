import { kinesisHandler } from '../../shared/lambda/handler.ts';
import wordCount from './pipeline.ts';

export const handler = kinesisHandler(wordCount);
