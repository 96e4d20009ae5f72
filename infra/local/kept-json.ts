import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Writes a file as a whole or not at all: whoever is killed in the middle leaves the old one. */
export function keepJson(file: string, value: unknown): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const unfinished = `${file}.unfinished`;
  writeFileSync(unfinished, `${JSON.stringify(value)}\n`);
  renameSync(unfinished, file);
}

/**
 * What `keepJson` wrote; undefined where there is no file.
 * @throws Error when the file cannot be read as JSON.
 */
export function keptJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Error(
      `${file} is not JSON, although this command writes it as a whole. Remove its folder to start over.`,
      { cause: error },
    );
  }
}
