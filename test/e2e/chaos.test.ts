import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedDump, flightLines, text } from './flights.ts';
import { startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
const FLIGHTS = flightLines(150);

describe('npm start --chaos', () => {
  it.each(['1', '2'])('gives the state of a run without chaos, with seed %s', async (seed) => {
    const dump = path.join(folder, `chaos-${seed}.ndjson`);
    const input = path.join(folder, `flights-${seed}.ndjson`);
    writeFileSync(input, text([...FLIGHTS.slice(0, 50), 'not json', ...FLIGHTS.slice(50)]));

    const args = ['--chaos', seed, '--input', input, '--batch-size', '25', '--dump-state', dump];
    const { exitCode, stderr, figures } = await startUntilDrained(args);

    expect(exitCode).toBe(0);
    expect(stderr).toContain('Equal: the state of');
    expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS));
    expect(figures).toMatchObject({ records: 151, deadLetters: 1 });
    expect(figures.retries).toBeGreaterThan(0);
    expect(Number(/Chaos: (\d+) faults/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(10);
    expect(stderr).toContain('is split in the middle of the input');
  });
});
