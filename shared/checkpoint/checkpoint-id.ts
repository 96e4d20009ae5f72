const ID = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})-(\d{3})Z-[0-9a-z]{1,16}$/;
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** What stands for the newest checkpoint wherever one is named. */
export const LATEST = 'latest';

/**
 * The id of a checkpoint that begins now: `2026-11-27T22-37-28-123Z-4f09ab`. Ids sort by time.
 * @param random lower-case letters and digits: two that begin in one millisecond are two.
 */
export function checkpointId(nowMs: number, random: string): string {
  const id = `${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}-${random}`;
  if (!ID.test(id)) throw new RangeError(`${JSON.stringify(random)} is no end of a checkpoint's id.`);
  return id;
}

export function isCheckpointId(text: string): boolean {
  return ID.test(text);
}

/** When the checkpoint of this id was begun, milliseconds since the epoch; NaN for what is no id. */
export function begunMs(id: string): number {
  const [, day, hour, minute, second, millisecond] = ID.exec(id) ?? [];
  return Date.parse(`${day}T${hour}:${minute}:${second}.${millisecond}Z`);
}

/** Why a savepoint cannot be called so; `undefined` where it can. */
export function savepointNameProblem(name: string): string | undefined {
  if (NAME.test(name) && name !== LATEST && !isCheckpointId(name)) return undefined;
  return (
    `A savepoint cannot be called ${JSON.stringify(name)}: allowed are 1 to 64 letters, digits, dots, dashes and ` +
    `underscores, beginning with a letter or a digit; neither "${LATEST}" nor what looks like a checkpoint's id.`
  );
}
