import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { EngineEndpoints } from './engines/engine-endpoints.ts';

/** What other processes of the same user need in order to talk to a local cloud that runs. */
export interface RunningCloudFile {
  readonly processId: number;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly endpoints: EngineEndpoints & { readonly lambda: string };
  /** By the id of a pipeline's stack: its outputs, as CloudFormation would give them. */
  readonly stacks: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const FILE_NAME = /^cloud-(\d+)\.json$/;

/** One folder per user: others have no business with it. */
export function runningCloudsFolder(): string {
  return path.join(os.tmpdir(), `tidemark-${os.userInfo().username.replaceAll(/[^\w-]/g, '_')}`);
}

/**
 * Says that a local cloud runs.
 * @returns what takes that back.
 * @throws Error where the folder belongs to somebody else.
 */
export function announceCloud(cloud: RunningCloudFile, folder = runningCloudsFolder()): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  requireOwn(folder);
  const file = path.join(folder, `cloud-${cloud.processId}.json`);
  // Whatever lies there is of a process that is gone, and may have other rights.
  rmSync(file, { force: true });
  writeFileSync(file, JSON.stringify(cloud), { mode: 0o600, flag: 'wx' });
  return () => rmSync(file, { force: true });
}

/** The clouds that run now, the youngest first; what dead processes have left is removed. */
export function runningClouds(folder = runningCloudsFolder()): RunningCloudFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  requireOwn(folder);
  const clouds: RunningCloudFile[] = [];
  for (const name of names) {
    const processId = FILE_NAME.exec(name)?.[1];
    if (processId === undefined) continue;
    const file = path.join(folder, name);
    if (!isAlive(Number(processId))) {
      rmSync(file, { force: true });
      continue;
    }
    try {
      clouds.push(JSON.parse(readFileSync(file, 'utf8')) as RunningCloudFile);
    } catch {
      // It has just ended, or is just being written.
    }
  }
  return clouds.sort((a, b) => b.startedMs - a.startedMs);
}

/** A folder that somebody else made before us could tell the command to send its requests anywhere. */
function requireOwn(folder: string): void {
  const found = lstatSync(folder);
  const isOwn = process.getuid === undefined || found.uid === process.getuid();
  if (!found.isDirectory() || !isOwn) {
    throw new Error(
      `${folder} is not a folder of this user; remove it, or set TMPDIR to a folder of your own.`,
    );
  }
  if (process.platform !== 'win32') chmodSync(folder, 0o700);
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
