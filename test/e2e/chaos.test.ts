import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedDump, flightLines, text } from './flights.ts';
import { start, startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
const FLIGHTS = flightLines(80);
const POISON = ['undecodable', 'wrongType', 'unstorable', 'longKey'];

describe('npm start --chaos', () => {
  it('gives the state of a run without chaos', { timeout: 180_000 }, async () => {
    const dump = path.join(folder, 'chaos.ndjson');
    const input = path.join(folder, 'flights.ndjson');
    writeFileSync(input, text([...FLIGHTS.slice(0, 50), 'not json', ...FLIGHTS.slice(50), 'left out']));

    const args = [
      '--chaos',
      '1',
      '--input',
      input,
      '--records',
      '81',
      '--batch-size',
      '20',
      '--dump-state',
      dump,
    ];
    const { exitCode, stderr, figures } = await startUntilDrained(args);

    expect(exitCode).toBe(0);
    expect(stderr).toContain('Equal: the state of');
    expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS));
    const { faults, ...chaos } = figures.chaos ?? expect.fail('no figures of chaos');
    expect(chaos).toMatchObject({ seed: 1, isEqual: true });
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
  });
});

describe('npm run chaos', () => {
  it('runs seeds apart from each other on the same engines', { timeout: 180_000 }, async () => {
    const args = ['--seeds', '2', '--from', '5', '--records', '40', '--batch-size', '10', '--json'];
    const { exitCode, stdout, stderr } = await start([...args, '--parallelization-factor', '2'], {
      command: 'chaos.ts',
      environment: { TIDEMARK_DYNAMODB: 'dynalite' },
    });
    expect(stderr).toMatch(/seed 5: equal[^]*seed 6: equal/);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ seeds: 2, equal: 2, violations: [] });
  });
});
