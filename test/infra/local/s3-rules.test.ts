import { describe, expect, it } from 'vitest';
import { listPage } from '../../../infra/local/engines/object-listing.ts';
import { isConditionable, refuseWrite } from '../../../infra/local/engines/s3-preconditions.ts';
import { refuseSubresource } from '../../../infra/local/engines/s3-subresources.ts';

const PUT = { method: 'PUT', bucket: 'b', key: 'k', query: {} };

describe('the preconditions of a write', () => {
  it.each([
    ['nothing, an object there', {}, '"a"', undefined],
    ['If-None-Match, no object', { ifNoneMatch: '*' }, undefined, undefined],
    ['If-None-Match, an object there', { ifNoneMatch: '*' }, '"a"', 412],
    ['If-None-Match with a tag', { ifNoneMatch: '"a"' }, undefined, 501],
    ['If-Match, this object', { ifMatch: '"a"' }, '"a"', undefined],
    ['If-Match without quotes', { ifMatch: 'a' }, '"a"', undefined],
    ['If-Match, another object', { ifMatch: '"a"' }, '"b"', 412],
    ['If-Match, no object', { ifMatch: '"a"' }, undefined, 404],
  ])('with %s', (_name, conditions, etag, status) => {
    expect(refuseWrite(conditions, etag)?.status).toBe(status);
  });

  it.each([
    ['a whole object', PUT, true],
    ['a part', { ...PUT, query: { uploadId: 'u', partNumber: '1' } }, false],
    ['the end of an upload', { ...PUT, method: 'POST', query: { uploadId: 'u' } }, true],
    ['the start of an upload', { ...PUT, method: 'POST', query: { uploads: '' } }, false],
    ['a deletion', { ...PUT, method: 'DELETE' }, true],
    ['a read, which fauxqs judges itself', { ...PUT, method: 'GET' }, false],
    ['a bucket', { ...PUT, key: '' }, false],
  ])('are asked for %s: %s', (_name, request, isAsked) => {
    expect(isConditionable(request)).toBe(isAsked);
  });
});

describe('a subresource', () => {
  it.each(['tagging', 'acl', 'retention', 'legal-hold', 'versionId'])(
    '?%s of an object is refused',
    (name) => {
      expect(refuseSubresource({ ...PUT, query: { [name]: '' } })).toMatchObject({
        status: 501,
        code: 'NotImplemented',
        message: expect.stringContaining(`PUT …?${name}.`) as string,
      });
    },
  );

  it.each(['versioning', 'lifecycle', 'tagging', 'location', 'uploads'])(
    '?%s of a bucket is refused',
    (name) => {
      expect(refuseSubresource({ method: 'GET', bucket: 'b', key: '', query: { [name]: '' } })?.status).toBe(
        501,
      );
    },
  );

  it.each([
    ['PUT', 'k', { 'x-id': 'PutObject' }],
    ['PUT', 'k', { 'X-Amz-Signature': 's', 'X-Amz-Date': 'd' }],
    ['PUT', 'k', { uploadId: 'u', partNumber: '1' }],
    ['GET', '', { 'list-type': '2', prefix: 'p', 'continuation-token': 't' }],
    ['POST', '', { delete: '' }],
    ['POST', 'k', { uploads: '' }],
  ])('that fauxqs knows is let through: %s %s %j', (method, key, query) => {
    expect(refuseSubresource({ method, bucket: 'b', key, query })).toBeUndefined();
  });
});

describe('a listing', () => {
  const items = ['b', 'a/2', 'a/1', 'B', 'a', '\u{1F600}', '\uFFFD'].map((key) => ({ key }));
  const keysOf = (page: ReturnType<typeof listPage>) => page.objects.map(({ key }) => key);

  it("stands in the order of the keys' UTF-8 bytes", () => {
    expect(keysOf(listPage(items, {}))).toEqual(['B', 'a', 'a/1', 'a/2', 'b', '\uFFFD', '\u{1F600}']);
  });

  it('goes on after the last key of a page', () => {
    const first = listPage(items, { maxKeys: 6 });
    const second = listPage(items, { maxKeys: 6, startAfter: first.objects.at(-1)?.key ?? '' });

    expect(first.isTruncated).toBe(true);
    expect(keysOf(first).at(-1)).toBe('\uFFFD');
    expect(second).toEqual({ objects: [{ key: '\u{1F600}' }], commonPrefixes: [], isTruncated: false });
  });

  it('gathers keys below a delimiter, once each', () => {
    const page = listPage(items, { prefix: 'a', delimiter: '/' });

    expect(keysOf(page)).toEqual(['a']);
    expect(page.commonPrefixes).toEqual(['a/']);
  });

  it('counts a gathered prefix as one entry of the page', () => {
    expect(listPage(items, { prefix: 'a', delimiter: '/', maxKeys: 1 })).toEqual({
      objects: [{ key: 'a' }],
      commonPrefixes: [],
      isTruncated: true,
    });
  });
});
