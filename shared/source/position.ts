/**
 * Where a record stands in its shard: the sequence number, and for a sub-record of a KPL aggregate its number inside.
 * Positions are totally ordered within a shard.
 */
export interface Position {
  /** Decimal digits without leading zeros: 56 in practice, up to 129 by Kinesis' contract. */
  readonly sequence: string;
  /** 0 for a record that was not aggregated. */
  readonly sub: number;
}

const SEQUENCE_PATTERN = /^\d{1,129}$/;

/**
 * Reads a sequence number as Kinesis writes it.
 * @throws RangeError when it is not 1 to 129 decimal digits.
 */
export function parseSequence(text: string): string {
  if (!SEQUENCE_PATTERN.test(text)) {
    throw new RangeError(
      `Sequence number ${JSON.stringify(text)} is not 1 to 129 decimal digits; is this event from Kinesis?`,
    );
  }
  return text.charCodeAt(0) === 48 && text.length > 1 ? text.replace(/^0+(?=\d)/, '') : text;
}

/** Compares as integers: by length, then by text. Neither Number (53 bits) nor plain text order would be right. */
export function compareSequences(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function comparePositions(a: Position, b: Position): number {
  return compareSequences(a.sequence, b.sequence) || a.sub - b.sub;
}

/**
 * Where a mark stands: at a record, or, where the records are another pipeline's outputs, at one of the outputs of that
 * pipeline's record: its element and its index behind the record's own position.
 */
export interface MarkPosition extends Position {
  readonly element?: number;
  readonly index?: number;
}

export function compareMarkPositions(a: MarkPosition, b: MarkPosition): number {
  return comparePositions(a, b) || (a.element ?? 0) - (b.element ?? 0) || (a.index ?? 0) - (b.index ?? 0);
}

/** In ascending order of their character codes, so that the compact form sorts as text. */
const DIGITS = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz';
const BITS_PER_DIGIT = 6;
/** Digits that are made at a time: what a Number holds exactly, for BigInt arithmetic is slow. */
const DIGITS_PER_CHUNK = 8;
const CHUNK_BITS = DIGITS_PER_CHUNK * BITS_PER_DIGIT;
const DIGIT_VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));
/** One length digit says up to 62; it is followed by a second where there are more digits (429 bits are 72). */
const LONG = DIGITS.length - 1;

function encodeInteger(value: bigint): string {
  let digits = '';
  let rest = value;
  while (rest > 0n) {
    let chunk = Number(BigInt.asUintN(CHUNK_BITS, rest));
    rest >>= BigInt(CHUNK_BITS);
    let text = '';
    for (let digit = 0; digit < DIGITS_PER_CHUNK && (rest > 0n || chunk > 0); digit++) {
      const high = Math.floor(chunk / 64);
      text = DIGITS.charAt(chunk - high * 64) + text;
      chunk = high;
    }
    digits = text + digits;
  }
  const length = digits.length;
  const lengthDigits =
    length < LONG ? DIGITS.charAt(length) : DIGITS.charAt(LONG) + DIGITS.charAt(length - LONG);
  return lengthDigits + digits;
}

function decodeInteger(text: string): bigint {
  const digits = text.slice(text.startsWith(DIGITS.charAt(LONG)) ? 2 : 1);
  let value = 0n;
  let chunk = 0;
  let bits = 0;
  for (const digit of digits) {
    const digitValue = DIGIT_VALUES.get(digit);
    if (digitValue === undefined) throw new RangeError(`${JSON.stringify(text)} is not an encoded integer.`);
    chunk = chunk * 64 + digitValue;
    bits += BITS_PER_DIGIT;
    if (bits === CHUNK_BITS) {
      value = (value << BigInt(CHUNK_BITS)) | BigInt(chunk);
      chunk = 0;
      bits = 0;
    }
  }
  return (value << BigInt(bits)) | BigInt(chunk);
}

/**
 * The form that is stored: 34 characters for a 56-digit sequence number (write units are counted in bytes), in an
 * order that is the order of the text, so that DynamoDB can compare it in a condition.
 */
export function encodePosition(position: Position): string {
  const sequence = encodeInteger(BigInt(position.sequence));
  return position.sub === 0 ? sequence : `${sequence}.${encodeInteger(BigInt(position.sub))}`;
}

/** @throws RangeError when the text is not an encoded position. */
export function decodePosition(text: string): Position {
  const [sequence = '', sub] = text.split('.');
  return {
    sequence: decodeInteger(sequence).toString(),
    sub: sub === undefined ? 0 : Number(decodeInteger(sub)),
  };
}

/** As `encodePosition`, and behind it, of an output, `/element/index`. */
export function encodeMarkPosition(position: MarkPosition): string {
  const record = encodePosition(position);
  const { element, index } = position;
  return element === undefined ? record : `${record}/${element}/${index ?? 0}`;
}

/** @throws RangeError when the text is not an encoded position. */
export function decodeMarkPosition(text: string): MarkPosition {
  const [record = '', element, index = '0'] = text.split('/');
  const position = decodePosition(record);
  return element === undefined ? position : { ...position, element: Number(element), index: Number(index) };
}
