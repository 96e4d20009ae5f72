import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedDump, flightLines, text } from './flights.ts';
import { startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
const FLIGHTS = flightLines(80);
const POISON = ['undecodable', 'wrongType', 'unstorable', 'longKey'];

describe('npm start --chaos', () => {
  it.each([
    ['1', [], {}],
    ['2', ['--parallelization-factor', '2'], { TIDEMARK_DYNAMODB: 'dynalite' }],
  ])(
    'gives the state of a run without chaos, with seed %s and %j on %j',
    { timeout: 180_000 },
    async (seed, options, environment) => {
      const dump = path.join(folder, `chaos-${seed}.ndjson`);
      const input = path.join(folder, `flights-${seed}.ndjson`);
      writeFileSync(input, text([...FLIGHTS.slice(0, 50), 'not json', ...FLIGHTS.slice(50), 'left out']));

      const args = [
        '--chaos',
        seed,
        '--input',
        input,
        '--records',
        '81',
        '--batch-size',
        '20',
        '--dump-state',
        dump,
      ];
      const { exitCode, stderr, figures } = await startUntilDrained([...args, ...options], { environment });

      expect(exitCode).toBe(0);
      expect(stderr).toContain('Equal: the state of');
      expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS));
      const { faults, ...chaos } = figures.chaos ?? expect.fail('no figures of chaos');
      expect(chaos).toMatchObject({ seed: Number(seed), isEqual: true });
      const poison = POISON.reduce((sum, kind) => sum + (faults[kind] ?? 0), 0);
      expect(poison).toBeGreaterThan(0);
      expect(figures).toMatchObject({ records: 81 + poison, deadLetters: 1 + poison });
      expect(figures.retries).toBeGreaterThan(0);
      expect(faults['split']).toBeGreaterThan(0);
      expect(faults['merge']).toBeGreaterThan(0);
      expect(stderr).toMatch(/is split at \d+ % of the input/);
      const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
      expect(stderr).toContain(`Chaos: ${total} faults`);
      expect(total).toBeGreaterThanOrEqual(10);
    },
  );
});
