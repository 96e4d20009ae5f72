import { describe, expect, it } from 'vitest';
import { stackIdOf } from '../../../infra/stack-names.ts';
import { synthesizePipelines } from '../../../infra/synthesis.ts';
import { ordersPipeline, SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

const ORDERS = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE };

describe('an environment', () => {
  it('is a part of the names of its stacks, and a tag of them', () => {
    const options = { outdir: temporaryFolder(), environment: 'prod', checkSchemas: false };
    const [stack] = synthesizePipelines([ORDERS], options).stacks;

    expect(stack?.stackName).toBe('Tidemark-prod-orders');
    expect(stack?.tags).toEqual({ 'tidemark:pipeline': 'orders', 'tidemark:environment': 'prod' });
    expect(stackIdOf('orders', 'prod')).toBe('Tidemark-prod-orders');
  });

  it.each(['', 'my-env', '1st', 'prod eu', 'a'.repeat(21)])('is not called %j', (environment) => {
    expect(() => stackIdOf('orders', environment)).toThrow('allowed are 1 to 20 letters and digits');
  });
});
