import { execFile } from 'node:child_process';

/** DynamoDB Local 3 is compiled for this version (its README, release 2.3.0). */
export const LOWEST_JAVA_VERSION = 17;

/** Reads the major version from what `java -version` prints: `openjdk version "17.0.15" 2025-04-15`, `"1.8.0_402"`. */
export function parseJavaVersion(text: string): number | undefined {
  const match = /version "(?:1\.)?(\d+)/.exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The major version of the `java` on the PATH, or undefined where there is none. */
export function findJavaVersion(command = 'java'): Promise<number | undefined> {
  return new Promise((resolve) => {
    execFile(command, ['-version'], (error, stdout, stderr) => {
      resolve(error === null ? parseJavaVersion(stdout + stderr) : undefined);
    });
  });
}
