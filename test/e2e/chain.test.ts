import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectedDump, flightLines, text } from './flights.ts';
import { startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
const AIRPORTS = ['"ATL"', '"DFW"', '"ORD"', '"LAX"'];
/** Of few airports, so that each has enough flights for a grade. */
const FLIGHTS = flightLines(2_000)
  .filter((line) => AIRPORTS.some((airport) => line.includes(`"origin":${airport}`)))
  .slice(0, 150);

/** The grades of the airports in a dump of what is known of their delays, by the limits of airport-grades. */
function gradesOf(dump: string): string {
  const airports = dump
    .trimEnd()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line) as {
          readonly key: string;
          readonly state: { readonly flights: number; readonly lateShare: number };
        },
    );
  return text(
    airports.map(({ key, state: { flights, lateShare } }) => {
      const grade = ['A', 'B', 'C', 'D'][Math.max(0, Math.ceil(lateShare * 20) - 2)] ?? 'E';
      return JSON.stringify({ key, state: { flights, grade } });
    }),
  );
}

describe('npm start with a pipeline that reads the outputs of another', () => {
  it('runs both, and drains both, under chaos', { timeout: 180_000 }, async () => {
    const dump = path.join(folder, 'chain.ndjson');
    const input = path.join(folder, 'flights.ndjson');
    writeFileSync(input, text(FLIGHTS));

    const args = [
      '--pipeline',
      'airport-grades',
      '--input',
      input,
      '--batch-size',
      '20',
      '--dump-state',
      dump,
    ];
    const { exitCode, stderr, figures } = await startUntilDrained([...args, '--chaos', '3']);

    expect(exitCode).toBe(0);
    const delays = readFileSync(path.join(folder, 'chain.airport-delays.ndjson'), 'utf8');
    expect(delays).toBe(expectedDump(FLIGHTS));
    expect(readFileSync(dump, 'utf8')).toBe(gradesOf(delays));
    expect(figures).toMatchObject({ pipelines: { 'airport-grades': { keys: 4, deadLetters: 0 } } });
    // Chaos mixes bad records in.
    expect(figures).toMatchObject({ chaos: { isEqual: true } });
    expect(stderr).toContain('airport-delays: Equal: the state of 4 keys');
    expect(stderr).toContain('airport-grades: Equal: the state of 4 keys');
  });
});
