import { describe, expect, it } from 'vitest';
import { readChaosOptions, replayCommand } from '../../infra/cli/chaos-options.ts';
import { chaosReport, faultTable, type SeedResult } from '../../infra/cli/chaos-report.ts';
import { readStartOptions } from '../../infra/cli/start-options.ts';

const PIPELINES = ['airport-delays', 'word-count'];

function options(...argv: readonly string[]) {
  return readChaosOptions(argv, PIPELINES) ?? expect.fail('only help was asked for');
}

function result(seed: number, outcome: SeedResult['outcome'], faults: SeedResult['faults']): SeedResult {
  return { seed, outcome, seconds: seed, faults, objectFaults: 1, story: '' };
}

describe('the report of npm run chaos', () => {
  const results = [
    result(1, 'equal', { throttle: 3, killBeforeReply: 0 }),
    result(2, 'different', { throttle: 1, killBeforeReply: 2 }),
    result(3, 'stalled', { throttle: 0 }),
  ];

  it('counts faults over all seeds, and names the seeds that are not equal', () => {
    expect(chaosReport(results, (seed) => `again ${seed}`)).toEqual({
      seeds: 3,
      equal: 1,
      violations: [
        { seed: 2, outcome: 'different', replay: 'again 2' },
        { seed: 3, outcome: 'stalled', replay: 'again 3' },
      ],
      faults: { throttle: 4, killBeforeReply: 2 },
      objectFaults: 3,
      totalFaults: 6,
      seconds: { shortest: 1, mean: 2, longest: 3 },
    });
  });

  it('tells how many seeds had a fault', () => {
    const table = faultTable(chaosReport(results, String), results, false);
    expect(table).toMatch(/throttle\s+│\s+4 │\s+2 │/);
    expect(table).toMatch(/kill before reply\s+│\s+2 │\s+1 │/);
  });
});

describe('the command that runs a seed again', () => {
  it('is one that npm start takes, for the same run', () => {
    const given = options(
      ...[
        '--pipeline',
        'word-count',
        '--input',
        'my lines.txt',
        '--records',
        '70',
        '--parallelization-factor',
        '2',
      ],
    );
    const command = replayCommand(given, 7);
    expect(command).toBe(
      'npm start -- --chaos 7 --records 70 --batch-size 25 --pipeline word-count --input "my lines.txt" --parallelization-factor 2',
    );
    const argv = command.replace('npm start -- ', '').replace('"my lines.txt"', 'my_lines.txt').split(' ');
    expect(readStartOptions(argv, {}, PIPELINES)).toMatchObject({
      chaos: 7,
      records: 70,
      batchSize: 25,
      pipeline: 'word-count',
      parallelizationFactor: 2,
    });
  });

  it.each([
    [['--seeds', '0'], /whole numbers from 1/],
    [['--pipeline', 'none'], /There is no pipeline "none"/],
    [['--input', '-'], /give a file/],
    [['--surely'], /unknown option/],
  ])('is not made of %j', (argv, message) => {
    expect(() => options(...argv)).toThrow(message);
  });
});
