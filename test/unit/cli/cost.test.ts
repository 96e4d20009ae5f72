import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { DEFAULTS } from '../../../infra/constructs/defaults.ts';
import type { StreamShape } from '../../../infra/cost/stream-shape.ts';
import { breakEvenText, checkpointsText, costCommand } from '../../../infra/cli/cost.ts';

async function cost(...options: string[]): Promise<string[]> {
  const lines: string[] = [];
  const command = costCommand({ out: (line) => void lines.push(line) }, new Command('cost'));
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  await command.parseAsync(options, { from: 'user' });
  return lines;
}

const SMALL = ['--records-per-second', '20', '--keys', '5', '--batch', '100'];

describe('tidemark cost', () => {
  it('gives a page of what each way costs, of what a batch asks for, and of the break-even', async () => {
    const page = (await cost(...SMALL)).join('\n');

    expect(page).toContain(
      '20 records a second of 500 bytes, 5 keys with 200 bytes of state, 1 shard; list prices of',
    );
    expect(page).toContain('us-east-1, 2026-08.');
    expect(page).toContain('20 records of 5 keys, 7 write units in 3 requests');
    for (const way of [
      'Tidemark',
      'Lambda with Powertools idempotency',
      'Managed Service for Apache Flink',
      'Spark on EMR Serverless',
    ]) {
      expect(page).toMatch(new RegExp(`│ ${way} +│ +[\\d,]+\\.\\d\\d │`));
    }
    expect(page).toContain('Tidemark is cheaper than Managed Service for Apache Flink ');
  });

  it('gives one line of JSON to a script', async () => {
    const [line = '', ...others] = await cost(...SMALL, '--json');
    const report = JSON.parse(line) as Record<string, unknown>;

    expect(others).toEqual([]);
    expect(report).toMatchObject({
      prices: { region: 'us-east-1' },
      shape: { recordsPerSecond: 20, keys: 5, batchSize: 100 },
      batch: { records: 20, keys: 5, wcu: 7 },
      keepsUp: true,
      costs: [{ way: 'tidemark' }, { way: 'idempotentLambda' }, { way: 'flink' }, { way: 'spark' }],
      assumptions: { requestMs: 10, recordsPerCoreSecond: 10_000 },
    });
  });

  it('says which checkpoints are deltas, what they store, and what they cost', async () => {
    const sparse = ['--records-per-second', '1', '--keys', '100', '--changed-percent', '2.5'];
    const page = (await cost(...sparse)).join('\n');
    expect(page).toContain(
      'Checkpoints, counted by taking them, 2.5 % of the keys changed before each: 3 a day are full, ',
    );
    expect(page).toMatch(
      /; 21 are deltas, [\d.]+ MB in [\d.]+ puts and listings and [\d.]+ gets each; in the/,
    );
    expect(page).toMatch(/stand [\d.]+ MB of full ones and [\d.]+ MB of deltas\./);
    expect(page).toMatch(/│ {3}Checkpoints in S3: deltas +│ +0\.\d\d │/);

    const [line = ''] = await cost(...sparse, '--full-every', '4', '--json');
    expect(JSON.parse(line)).toMatchObject({
      shape: { changedShare: 0.025, fullEvery: 4 },
      checkpoints: { full: { aDay: 6 }, delta: { aDay: 18 }, standing: {} },
    });
  });

  it('says why none is a delta', async () => {
    // Each of the keys has some records an hour.
    expect((await cost(...SMALL)).join('\n')).toContain(
      'all 24 a day are full, since 100 % of the keys changed before each: a delta would keep too little; ',
    );
    expect((await cost(...SMALL, '--full-every', '1')).join('\n')).toContain('since --full-every is 1; ');
    const full = { aDay: 24, bytes: 1e6, puts: 100, gets: 10 };
    const none = { aDay: 0, bytes: 0, puts: 0, gets: 0 };
    const standing = { fullBytes: 5e7, deltaBytes: 0 };
    const shape = { keys: 2_000_000, memoryMb: 128, changedShare: 0.01, fullEvery: 8 } as StreamShape;
    expect(checkpointsText(shape, { checkpoints: { full, delta: none, standing, idlePuts: 22 } })).toBe(
      'Checkpoints, counted by taking them: all 24 a day are full, since --memory-mb 128 is for deltas of 1,766,022 ' +
        'keys; 1 MB in 100 puts and listings and 10 gets each; in the bucket stand 50 MB.',
    );
  });

  it('takes what the construct takes where nothing is given', async () => {
    const [line = ''] = await cost('--records-per-second', '1', '--keys', '1', '--json');

    expect(JSON.parse(line)).toMatchObject({
      shape: {
        batchSize: DEFAULTS.batchSize,
        windowSeconds: DEFAULTS.maximumBatchingWindow.toSeconds(),
        memoryMb: DEFAULTS.memorySize,
      },
    });
  });

  it.each([
    [
      ['--records-per-second', '0', '--keys', '1'],
      "'0' is invalid. Allowed are whole numbers from 1 to 1,000,000.",
    ],
    [['--records-per-second', '1.5', '--keys', '1'], "'1.5' is invalid. Allowed are whole numbers"],
    [
      ['--records-per-second', '1', '--keys', 'many'],
      "'many' is invalid. Allowed are whole numbers from 1 to",
    ],
    [[...SMALL, '--changed-percent', '101'], "'101' is invalid. Allowed are numbers from 0 to 100, such as"],
    [[...SMALL, '--changed-percent', '-1'], 'Allowed are numbers from 0 to 100'],
    [[...SMALL, '--full-every', '0'], 'Allowed are whole numbers from 1 to 100.'],
    [[...SMALL, '--batch', '10001'], 'Allowed are whole numbers from 1 to 10,000.'],
    [['--keys', '1'], "required option '--records-per-second <n>' not specified"],
    [
      ['--records-per-second', '5000', '--keys', '1', '--shards', '2'],
      '--shards is 2; 5,000 records of 500 bytes a second need at least 5,',
    ],
    [
      [...SMALL, '--batch', '10000', '--state-bytes', '100000'],
      '--batch 10,000 with --state-bytes 100,000 has 1,000,000,000 bytes of states in one batch; allowed are 134,217,728,',
    ],
  ])('refuses %j', async (options, message) => {
    await expect(cost(...options)).rejects.toThrow(message);
  });
});

describe('the break-even, as a sentence', () => {
  it.each([
    [[], 'Tidemark is dearer than Spark on EMR Serverless at every rate from 1 to 100,000.'],
    [
      [{ from: 1, to: 100_000 }],
      'Tidemark is cheaper than Spark on EMR Serverless at every rate from 1 to 100,000.',
    ],
    [[{ from: 1, to: 39 }], 'Tidemark is cheaper than Spark on EMR Serverless up to 39 records a second.'],
    [
      [{ from: 2, to: 100_000 }],
      'Tidemark is cheaper than Spark on EMR Serverless from 2 records a second on.',
    ],
    [
      [
        { from: 1, to: 3 },
        { from: 10, to: 20 },
      ],
      'Tidemark is cheaper than Spark on EMR Serverless up to 3 records a second and from 10 to 20 records a second.',
    ],
  ])('tells %j', (ranges, text) => {
    expect(breakEvenText('spark', ranges)).toBe(text);
  });
});
