import { expect, it } from 'vitest';
import { readLines } from '../../infra/local/producer/line-source.ts';

async function linesOf(...chunks: readonly (string | Buffer)[]) {
  async function* stream() {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const lines = [];
  for await (const line of readLines(stream())) lines.push(line);
  return lines;
}

async function textsOf(...chunks: readonly string[]): Promise<string[]> {
  return (await linesOf(...chunks)).map(({ bytes }) => bytes.toString());
}

it('cuts lines wherever the chunks are cut', async () => {
  const text = 'one\ntwo\r\n\nfour';
  for (let at = 0; at <= text.length; at++)
    expect(await textsOf(text.slice(0, at), text.slice(at))).toEqual(['one', 'two', '', 'four']);
});

it('takes empty lines at the end for no lines, and those before others for lines', async () => {
  expect(await textsOf('a\n\nb\n\n\r\n\n')).toEqual(['a', '', 'b']);
  expect(await textsOf('\n\n')).toEqual([]);
});

it('leaves bytes that are no text as they are', async () => {
  const [line] = await linesOf(Buffer.from([0xff, 0x00, 0xfe, 0x0a]));
  expect(line?.bytes).toEqual(Buffer.from([0xff, 0x00, 0xfe]));
});

it('leaves out a byte order mark at the beginning only', async () => {
  expect(await textsOf('\ufeffa\n\ufeffb\n')).toEqual(['a', '\ufeffb']);
});

it('tells where each line ends in the input', async () => {
  const lines = await linesOf('ab\nc', '\nd');
  expect(lines.map(({ number, endOffset }) => [number, endOffset])).toEqual([
    [0, 3],
    [1, 5],
    [2, 6],
  ]);
});
