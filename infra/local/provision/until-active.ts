import { setTimeout as pause } from 'node:timers/promises';

const PAUSE_MS = 20;
const ATTEMPTS = 1_500;

/**
 * Asks until a resource is active.
 * @throws Error naming the last status when that takes about half a minute.
 */
export async function untilActive(
  name: string,
  readStatus: () => Promise<string | undefined>,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const status = await readStatus();
    if (status === 'ACTIVE') return;
    if (attempt === ATTEMPTS)
      throw new Error(`${name} does not become ACTIVE; it is ${status ?? 'unknown'}.`);
    await pause(PAUSE_MS);
  }
}
