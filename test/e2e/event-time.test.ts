import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { departures, trafficOf, type Departure, type TrafficRow } from '../unit/functions/departures.ts';
import { text } from './flights.ts';
import { start, startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();

interface Row {
  readonly table: string;
  readonly key: string;
  readonly value: { readonly value: TrafficRow };
}

describe('npm start with a pipeline that goes by event time', { timeout: 180_000 }, () => {
  it('fires what no record fires, and leaves in the table what the flights give in their order', async () => {
    // The last is reported so late that all of its windows are over.
    const forgotten: Departure = { origin: 'ORD', date: '2001/01/01 05:00', delay: 1_440 };
    const flights = [...departures(300), forgotten];
    const input = path.join(folder, 'departures.ndjson');
    const dump = path.join(folder, 'tables.ndjson');
    writeFileSync(input, text(flights.map((flight) => JSON.stringify(flight))));
    const expected = trafficOf(flights);

    const { exitCode, stderr, figures } = await startUntilDrained([
      ...['--pipeline', 'airport-traffic', '--input', input],
      ...['--shards', '1', '--batch-size', '100', '--dump-tables', dump],
    ]);

    expect(exitCode).toBe(0);
    const rows = readFileSync(dump, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Row);
    expect(new Map(rows.map(({ key, value }) => [key, value.value]))).toEqual(expected.closed);
    expect(new Set(rows.map(({ table }) => table))).toEqual(new Set(['airport-traffic']));
    const airports = new Set([...expected.open.keys()].map((key) => key.slice(0, 3)));
    expect(figures).toMatchObject({ records: 301, applied: 301, duplicates: 0, deadLetters: 0 });
    expect(figures).toMatchObject({ late: expected.late, keys: airports.size });
    // What fires behind a batch does not cost the next one a write that fails.
    expect(figures).toMatchObject({ conflicts: 0 });
    // What batches and sweeps have published alike.
    expect(figures.published).toBeGreaterThanOrEqual(rows.length);
    expect(stderr).toContain(`Table airport-traffic: ${rows.length} items.`);
    expect(stderr).toContain('airport-traffic: event time has come to 2001-01-0');
  });

  it('refuses several batches of a shard at a time', async () => {
    const { exitCode, stderr } = await start([
      ...['--pipeline', 'airport-traffic'],
      ...['--parallelization-factor', '2'],
    ]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('known in the order of each shard alone');
  });

  it('refuses chaos, and says why', async () => {
    const { exitCode, stdout, stderr } = await start(['--pipeline', 'airport-traffic', '--chaos', '1']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain('what is late, and so what its windows hold, hangs on the shard');
  });
});
