/** A double needs at most 17 significant digits, which are 9 pairs wherever the point stands. */
const BYTES_OF_LONG_FRACTION = 10;

/**
 * Bytes of a number in DynamoDB, by the rule of `decimalBytes` and without the conversion to text, which costs more
 * than all else: exact for integers and for fractions of up to four decimals, else the most that a double can take,
 * at most 8 bytes too many.
 */
export function numberBytesBound(value: number): number {
  const magnitude = Math.abs(value);
  const sign = value < 0 ? 1 : 0;
  if (Number.isSafeInteger(value)) return 1 + pairsOfInteger(magnitude) + sign;
  // Where the division gives the very same double back, its shortest decimal form is this integer with the point
  // moved by two pairs.
  const shifted = Math.round(magnitude * 10_000);
  const isShort = shifted < 1e15 && shifted / 10_000 === magnitude;
  return (isShort ? 1 + pairsOfInteger(shifted) : BYTES_OF_LONG_FRACTION) + sign;
}

function pairsOfInteger(integer: number): number {
  if (integer === 0) return 0;
  let rest = integer;
  while (rest % 100 === 0) rest /= 100;
  let pairs = 1;
  for (let bound = 100; rest >= bound; bound *= 100) pairs++;
  return pairs;
}

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const POINT = 46;
/** Of `e` as of `E`, with the bit that tells them apart set. */
const EXPONENT = 101;

/**
 * Bytes of a number in DynamoDB, from its text: an optional sign, digits, point, exponent. The developer guide says
 * "approximately 1 byte per two significant digits, and 1 byte"; behind that stand digits in pairs (base 100), leading
 * and trailing zero pairs trimmed, one byte for the exponent, and one more where the number is negative.
 */
export function decimalBytes(text: string): number {
  let digits = 0;
  let trailingZeros = 0;
  let decimals = 0;
  let afterPoint = false;
  let exponent = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= ZERO && code <= NINE) {
      if (afterPoint) decimals++;
      if (code !== ZERO) trailingZeros = 0;
      else if (digits > 0) trailingZeros++;
      if (code !== ZERO || digits > 0) digits++;
    } else if (code === POINT) {
      afterPoint = true;
    } else if ((code | 32) === EXPONENT) {
      exponent = Number(text.slice(at + 1));
      break;
    }
  }
  if (digits === 0) return 1;
  const lowest = exponent - decimals + trailingZeros;
  const highest = lowest + digits - trailingZeros - 1;
  const pairs = Math.floor(highest / 2) - Math.floor(lowest / 2) + 1;
  return 1 + pairs + (text.charCodeAt(0) === MINUS ? 1 : 0);
}
