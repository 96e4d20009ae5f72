/** One line of an input: its bytes as they stand there, without the line's end. */
export interface InputLine {
  readonly bytes: Buffer;
  /** 0 for the first line. */
  readonly number: number;
  /** Bytes of the input up to the end of this line. */
  readonly endOffset: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Cuts a stream of bytes into lines without holding more than one of them. Lines end with LF or CRLF, the last one may
 * lack its end; empty lines at the end are no lines, empty lines before others are.
 */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<InputLine> {
  let number = 0;
  let offset = 0;
  let pieces: Buffer[] = [];
  let heldBack: InputLine[] = [];
  function* lineOf(last: Buffer, isTerminated: boolean): Generator<InputLine> {
    const whole = pieces.length === 0 ? last : Buffer.concat([...pieces, last]);
    pieces = [];
    offset += whole.length + (isTerminated ? 1 : 0);
    const line = { bytes: withoutEnds(whole, number === 0), number, endOffset: offset };
    number += 1;
    heldBack.push(line);
    if (line.bytes.length === 0) return;
    yield* heldBack;
    heldBack = [];
  }
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      yield* lineOf(chunk.subarray(from, end), true);
      from = end + 1;
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
  }
  if (pieces.length > 0) yield* lineOf(Buffer.alloc(0), false);
}

function withoutEnds(line: Buffer, isFirst: boolean): Buffer {
  const from =
    isFirst && line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
  const to = line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length;
  return line.subarray(from, Math.max(from, to));
}
