import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { expectedDump, flightLines, text } from './flights.ts';
import { startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();

it('npm start --persist goes on behind the last line sent, with the state of the run before', async () => {
  const flights = flightLines(200);
  const input = path.join(folder, 'flights.ndjson');
  const dump = path.join(folder, 'dump.ndjson');
  const args = ['--input', input, '--persist', path.join(folder, 'kept'), '--dump-state', dump];

  writeFileSync(input, text(flights.slice(0, 120)));
  const first = await startUntilDrained(args, { environment: { TIDEMARK_DYNAMODB: 'dynalite' } });
  expect(first.figures).toMatchObject({ records: 120, applied: 120 });
  expect(readFileSync(dump, 'utf8')).toBe(expectedDump(flights.slice(0, 120)));

  appendFileSync(input, text(flights.slice(120)));
  const second = await startUntilDrained(args, { environment: { TIDEMARK_DYNAMODB: 'dynalite' } });
  expect(second.figures).toMatchObject({ records: 80, applied: 80, duplicates: 0 });
  expect(readFileSync(dump, 'utf8')).toBe(expectedDump(flights));
});
