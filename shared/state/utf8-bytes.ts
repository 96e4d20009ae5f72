/** From this length on, the native count beats a loop over the characters. */
const LONG = 64;

const SURROGATE_PATTERN = /\p{Surrogate}/u;

/** UTF-8 bytes of a text, or -1 where it holds a lone surrogate, which UTF-8 cannot express. */
export function utf8Bytes(text: string): number {
  const length = text.length;
  if (length >= LONG) {
    const bytes = Buffer.byteLength(text);
    return bytes !== length && SURROGATE_PATTERN.test(text) ? -1 : bytes;
  }
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) > 0x7f) return SURROGATE_PATTERN.test(text) ? -1 : Buffer.byteLength(text);
  }
  return length;
}
