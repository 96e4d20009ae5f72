import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 20;
const ATTEMPTS = 1_500;

/**
 * Waits until a server gives any answer at all: what an engine says to a plain GET differs (200, 400), that it says
 * something is what counts.
 * @throws Error when it stays silent for about half a minute.
 */
export async function untilAnswering(url: string, signal?: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(url, { headers: { connection: 'close' }, ...(signal && { signal }) });
      await response.arrayBuffer();
      return;
    } catch (error) {
      if (signal?.aborted === true || attempt === ATTEMPTS) {
        throw new Error(`Nothing answers at ${url}.`, { cause: error });
      }
    }
    await pause(PAUSE_MS);
  }
}
