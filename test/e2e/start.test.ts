import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { expectedDump, flightLines, originsOf, text } from './flights.ts';
import { isAlive, StartCommand, startUntilDrained } from './start-command.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
const FLIGHTS = flightLines(300);

function fileOf(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('npm start on a file of flights, one shard', () => {
  const dump = path.join(folder, 'one-shard.ndjson');
  let run: Awaited<ReturnType<typeof startUntilDrained>>;
  beforeAll(async () => {
    const input = fileOf('flights.ndjson', `${text(FLIGHTS)}\n\n`);
    run = await startUntilDrained(['--input', input, '--shards', '1', '--dump-state', dump]);
  });

  it('applies every record once, and takes empty lines at the end for no records', () => {
    expect(run.exitCode).toBe(0);
    expect(run.figures).toMatchObject({ records: 300, applied: 300, duplicates: 0, deadLetters: 0 });
  });

  it('gives figures that add up', () => {
    const { keys, batches, invocations, retries, conflicts, published, ...figures } = run.figures;
    expect(keys).toBe(originsOf(FLIGHTS));
    expect({ retries, conflicts }).toEqual({ retries: 0, conflicts: 0 });
    expect(invocations).toBe(batches);
    // One change a key and batch, each committed in one write; the rows of control and progress come on top, and the
    // first batch asks twice for one that is not there yet.
    expect(published).toBeGreaterThanOrEqual(keys);
    expect(published).toBeLessThanOrEqual(keys * batches);
    expect(figures.stateWrites).toBeGreaterThan(published);
    expect(figures.stateWrites).toBeLessThanOrEqual(published + 2 * batches + 4);
    expect(figures.wcu).toBeGreaterThanOrEqual(figures.stateWrites);
    expect(figures.seconds).toBeGreaterThan(0);
  });

  it('dumps the state that a plain fold gives, sorted by key', () => {
    expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS));
  });

  it('keeps standard output for the figures', () => {
    expect(run.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(run.stderr).toContain('DynamoDB');
    expect(run.stderr).toContain('The first 15 by flights');
  });

  it('writes no colours and no bar where there is no terminal', () => {
    expect(run.stderr.includes('\u001b')).toBe(false);
  });
});

describe('npm start on standard input, three shards with four batches of each at a time', () => {
  const dump = path.join(folder, 'parallel.ndjson');
  let run: Awaited<ReturnType<typeof startUntilDrained>>;
  beforeAll(async () => {
    const broken = ['not json', '{"origin":3,"delay":1}', '', '{"origin":"\\ud800","delay":1}'];
    const stdin = text([...FLIGHTS.slice(0, 100), ...broken, ...FLIGHTS.slice(100)]);
    run = await startUntilDrained(
      ['--input', '-', '--shards', '3', '--parallelization-factor', '4', '--dump-state', dump],
      { stdin },
    );
  });

  it('turns lines that are no flights into dead letters, and drops none', () => {
    expect(run.exitCode).toBe(0);
    expect(run.figures).toMatchObject({ records: 304, applied: 300, duplicates: 0, deadLetters: 4 });
  });

  it('gives the same state as one batch at a time', () => {
    expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS));
  });
});

describe('npm start without Java', () => {
  it('runs on dynalite, says so, and gives the same state', async () => {
    const dump = path.join(folder, 'dynalite.ndjson');
    const input = fileOf('few-flights.ndjson', text(FLIGHTS.slice(0, 120)));
    const run = await startUntilDrained(['--input', input, '--dump-state', dump], {
      environment: { TIDEMARK_DYNAMODB: 'dynalite' },
    });
    expect(run.stderr).toContain('dynalite');
    expect(run.figures).toMatchObject({ records: 120, applied: 120, duplicates: 0, deadLetters: 0 });
    expect(readFileSync(dump, 'utf8')).toBe(expectedDump(FLIGHTS.slice(0, 120)));
  });
});

describe('npm start with a text pipeline', () => {
  it('counts the words of plain lines', async () => {
    const dump = path.join(folder, 'words.ndjson');
    const run = await startUntilDrained(['--pipeline', 'word-count', '--input', '-', '--dump-state', dump], {
      stdin: 'The tide, the time\r\n\r\nTHE end',
    });
    expect(run.figures).toMatchObject({ records: 3, applied: 3, deadLetters: 0, keys: 4 });
    expect(readFileSync(dump, 'utf8')).toBe(
      text([
        '{"key":"end","state":1}',
        '{"key":"the","state":3}',
        '{"key":"tide","state":1}',
        '{"key":"time","state":1}',
      ]),
    );
  });
});

describe('npm start without --until-drained', () => {
  it('stays up until Ctrl-C, and leaves no process behind', async () => {
    const input = fileOf('handful.ndjson', text(FLIGHTS.slice(0, 20)));
    const command = new StartCommand(['--input', input]);
    await command.untilSays('stays up');
    const descendants = command.descendants();
    expect(descendants.length).toBeGreaterThanOrEqual(4);
    command.interrupt();
    const { exitCode, stdout } = await command.ended();
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Stopping');
    // The system reaps what the command's own tools leave in its own time.
    await vi.waitFor(() => expect(descendants.filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });
});
