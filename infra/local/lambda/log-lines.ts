import type { Readable } from 'node:stream';

const MARKER = /\0end ([^\0]*)\0$/;

/**
 * Cuts what a process writes into lines. The bootstrap ends the log of an invocation with a marker; it goes to
 * `onMarker` with the request's id and is no part of the log, whether or not the line before it was ended.
 */
export function readLogLines(
  stream: Readable,
  onLine: (line: string) => void,
  onMarker: (requestId: string) => void,
): void {
  let rest = '';
  const take = (text: string): void => {
    const marker = MARKER.exec(text);
    const line = marker ? text.slice(0, marker.index) : text;
    if (line !== '' || !marker) onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (marker) onMarker(marker[1] ?? '');
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
    rest = '';
  });
}
