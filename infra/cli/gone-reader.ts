/** What a write says where the reading end of a pipe is closed, and where that was noticed before. */
const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/**
 * Lets a reader leave in the middle (`… | head`): what is written then is dropped, and is no error.
 * @param onGone called once.
 * @returns whether somebody reads still, as far as was noticed.
 */
export function letReaderGo(
  stream: NodeJS.WritableStream,
  onGone: () => void = () => undefined,
): () => boolean {
  let isRead = true;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!GONE.has(error.code ?? '')) throw error;
    if (isRead) onGone();
    isRead = false;
  });
  return () => isRead;
}
