import type { IncomingMessage } from 'node:http';

/** The whole body of a request or reply, or nothing where it is longer than the limit, bytes. */
export async function readBody(
  message: IncomingMessage,
  maximumBytes = Number.POSITIVE_INFINITY,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Read to the end even when it is too long: a sender that is cut off would never read our reply.
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maximumBytes) chunks.push(chunk);
  }
  return bytes <= maximumBytes ? Buffer.concat(chunks) : undefined;
}
