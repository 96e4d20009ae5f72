import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  announceCloud,
  runningClouds,
  type RunningCloudFile,
} from '../../../infra/local/running-cloud-file.ts';

let parent = '';
let folder = '';
beforeEach(() => {
  parent = mkdtempSync(path.join(os.tmpdir(), 'tidemark-test-'));
  folder = path.join(parent, 'clouds');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const cloud: RunningCloudFile = {
  processId: process.pid,
  startedMs: 2,
  endpoints: { kinesis: 'k', dynamodb: 'd', s3: 's', sqs: 'q', lambda: 'l' },
  stacks: { 'Tidemark-p': { BucketName: 'b' } },
};

describe('a local cloud that runs', () => {
  it('is found while it runs, by its user alone, and not when it has ended', () => {
    expect(runningClouds(folder)).toEqual([]);
    const withdraw = announceCloud(cloud, folder);
    expect(runningClouds(folder)).toEqual([cloud]);
    expect(statSync(path.join(folder, `cloud-${process.pid}.json`)).mode & 0o077).toBe(0);
    expect(statSync(folder).mode & 0o077).toBe(0);
    withdraw();
    expect(runningClouds(folder)).toEqual([]);
    withdraw();
  });

  it('is not taken for one that runs when its process is dead, and half a file is none', () => {
    announceCloud(cloud, folder);
    // No process has this number: Linux gives at most 2^22.
    writeFileSync(path.join(folder, 'cloud-999999999.json'), JSON.stringify(cloud));
    writeFileSync(path.join(folder, `cloud-${process.ppid}.json`), '{"processId":');
    expect(runningClouds(folder)).toEqual([cloud]);
  });

  it('is not announced in a folder that is a link to elsewhere', () => {
    const elsewhere = path.join(parent, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, folder);
    expect(() => announceCloud(cloud, folder)).toThrow(/is not a folder of this user/);
    expect(() => runningClouds(folder)).toThrow(/is not a folder of this user/);
  });
});
