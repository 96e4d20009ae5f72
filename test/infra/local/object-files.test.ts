import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ObjectFiles, type StoredObject } from '../../../infra/local/engines/object-files.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tidemark-objects-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function object(key: string, body = 'one\ntwo'): StoredObject {
  return {
    key,
    body: Buffer.from(body),
    contentType: 'text/plain',
    etag: '"tag-2"',
    lastModified: new Date(1_700_000_000_123),
    metadata: { colour: 'red' },
  };
}

it('reads back what was written, with line ends in the body and any key', () => {
  const keys = ['plain', 'UPPER', 'upper', '../../up', 'é'.repeat(500), 'a/b'];
  const files = new ObjectFiles(directory);
  files.createBucket('b');
  for (const key of keys) files.write('b', object(key));

  const read = [...new ObjectFiles(directory).readObjects('b')];

  expect(new Set(read)).toEqual(new Set(keys.map((key) => object(key))));
  expect(new ObjectFiles(directory).listBuckets()).toEqual(['b']);
});

it('keeps the newest of one key and none that is deleted', () => {
  const files = new ObjectFiles(directory);
  files.createBucket('b');
  files.write('b', object('kept', 'old'));
  files.write('b', object('kept', 'new'));
  files.write('b', object('gone'));
  files.delete('b', 'gone');

  expect([...files.readObjects('b')].map(({ body }) => body.toString())).toEqual(['new']);
});

it('drops a file that was not written to its end', () => {
  const files = new ObjectFiles(directory);
  files.createBucket('b');
  writeFileSync(path.join(directory, 'b', 'abc.unfinished'), '{"key"');

  expect([...files.readObjects('b')]).toEqual([]);
  expect(readdirSync(path.join(directory, 'b'))).toEqual([]);
});

it('names a file that it did not write', () => {
  const files = new ObjectFiles(directory);
  files.createBucket('b');
  const stranger = path.join(directory, 'b', 'stranger');
  writeFileSync(stranger, 'hello');

  expect(() => [...files.readObjects('b')]).toThrow(
    `${stranger} is not an object that the local S3 has written`,
  );
});
