import { expect, it } from 'vitest';
import airportTraffic from '../../../functions/airport-traffic/pipeline.ts';
import clickSessions from '../../../functions/click-sessions/pipeline.ts';
import earthquakeWatch from '../../../functions/earthquake-watch/pipeline.ts';
import viewedTogether from '../../../functions/viewed-together/pipeline.ts';
import { BUILT_IN } from '../../../infra/cli/built-in-data.ts';
import { testPipeline } from '../../../shared/testing/index.ts';

const RECORDS = 60;
// Of them some would have batches side by side, and in 47 a result is fired and not published at once.
const SEEDS = [1, 10, 47];

it.each([
  ['airport-traffic', airportTraffic],
  ['earthquake-watch', earthquakeWatch],
  ['click-sessions', clickSessions],
] as const)('%s keeps its rules under faults', async (name, pipeline) => {
  const lines = BUILT_IN.get(name)?.lines() ?? [];
  const test = testPipeline<object>(pipeline);
  await test.send(...lines.slice(0, RECORDS).map((line) => JSON.parse(line) as object));
  for (const from of SEEDS) {
    await expect(test.underFaults({ seeds: 2, from })).resolves.toMatchObject({ records: RECORDS });
  }
});

it('viewed-together keeps its rules under faults', async () => {
  const test = testPipeline<object>(viewedTogether);
  await test.send({ user: 'a', items: ['x', 'y'], at: 1 }, { user: 'b', items: ['x', 'z'], at: 2 });
  await expect(test.underFaults({ seeds: 20 })).resolves.toMatchObject({ records: 2 });
});
