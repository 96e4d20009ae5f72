import { open } from 'node:fs/promises';
import path from 'node:path';
import { type InputLine, readLines } from '../local/producer/line-source.ts';
import { BUILT_IN } from './built-in-data.ts';
import { UsageError } from './usage-error.ts';

/** Where records come from, line by line. */
export interface Input {
  /** For people. */
  readonly title: string;
  /** By which a kept run knows the input again; undefined where it cannot be read a second time. */
  readonly id: string | undefined;
  /** Where it is known beforehand. */
  readonly totalLines: number | undefined;
  readonly sizeBytes: number | undefined;
  lines(): AsyncIterable<InputLine>;
  /** Reading ends, with an error in whoever waits for the next line. */
  close(): void;
}

/** @throws UsageError for a file that cannot be read, and for a pipeline without built-in data. */
export async function openInput(given: string | undefined, pipeline: string): Promise<Input> {
  if (given === undefined) return builtInInput(pipeline);
  if (given === '-') {
    return {
      title: 'standard input',
      id: undefined,
      totalLines: undefined,
      sizeBytes: undefined,
      lines: () => readLines(process.stdin),
      close: () => process.stdin.destroy(),
    };
  }
  return fileInput(path.resolve(given));
}

async function fileInput(file: string): Promise<Input> {
  try {
    const handle = await open(file, 'r');
    const stats = await handle.stat();
    if (stats.isDirectory()) throw new Error('it is a folder');
    const stream = handle.createReadStream();
    return {
      title: file,
      id: `file ${file}`,
      totalLines: undefined,
      // A pipe has no size.
      sizeBytes: stats.isFile() ? stats.size : undefined,
      lines: () => readLines(stream as AsyncIterable<Buffer>),
      close: () => stream.destroy(),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`The input ${file} cannot be read: ${reason}. Give a readable file, or "-".`);
  }
}

/** The first lines of an input, or all of them. @param count at least 1; undefined for all. */
export function limited(input: Input, count: number | undefined): Input {
  if (count === undefined) return input;
  return {
    ...input,
    title: `the first ${count.toLocaleString('en-US')} of ${input.title}`,
    totalLines: input.totalLines === undefined ? undefined : Math.min(count, input.totalLines),
    // The size is that of all lines.
    sizeBytes: undefined,
    lines: () => firstOf(input, count),
  };
}

async function* firstOf(input: Input, count: number): AsyncGenerator<InputLine> {
  for await (const line of input.lines()) {
    yield line;
    if (line.number + 1 >= count) return;
  }
}

function builtInInput(pipeline: string): Input {
  const builtIn = BUILT_IN.get(pipeline);
  if (builtIn === undefined) {
    throw new UsageError(`Pipeline ${pipeline} has no built-in data; give it some with --input FILE.`);
  }
  const { title, id, lines: make } = builtIn;
  const lines = make();
  return {
    title,
    id: `built-in ${id}`,
    totalLines: lines.length,
    sizeBytes: undefined,
    lines: () => linesOf(lines),
    close: () => undefined,
  };
}

async function* linesOf(lines: readonly string[]): AsyncGenerator<InputLine> {
  let endOffset = 0;
  for (const [number, line] of lines.entries()) {
    const bytes = Buffer.from(line);
    endOffset += bytes.length + 1;
    yield { bytes, number, endOffset };
  }
}
