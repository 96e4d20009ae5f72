import type { S3Refusal, S3Request } from './s3-request.ts';

export interface Preconditions {
  readonly ifNoneMatch?: string | undefined;
  readonly ifMatch?: string | undefined;
}

const FAILED = {
  status: 412,
  code: 'PreconditionFailed',
  message: 'At least one of the pre-conditions you specified did not hold',
} as const;

/** Whether a request writes or deletes a whole object, which is where S3 knows If-None-Match and If-Match. */
export function isConditionable({ method, key, query }: S3Request): boolean {
  if (key === '') return false;
  if (method === 'PUT') return query['partNumber'] === undefined;
  if (method === 'POST') return query['uploadId'] !== undefined;
  return method === 'DELETE' && query['uploadId'] === undefined;
}

/**
 * Judges the conditions of a write as S3 does: `If-None-Match` takes only `*` and wants no object, `If-Match` wants one
 * with this entity tag.
 * @param etag the entity tag, in its quotes, of the object that is there; undefined where there is none.
 * @returns undefined where the write may go on.
 */
export function refuseWrite(conditions: Preconditions, etag: string | undefined): S3Refusal | undefined {
  const { ifNoneMatch, ifMatch } = conditions;
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
    return {
      status: 501,
      code: 'NotImplemented',
      message: `A write takes If-None-Match only with *, not with ${ifNoneMatch}.`,
    };
  }
  if (ifNoneMatch === '*' && etag !== undefined) return FAILED;
  if (ifMatch === undefined) return undefined;
  if (etag === undefined) {
    return { status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.' };
  }
  const isMatch = ifMatch === '*' || ifMatch.replaceAll('"', '') === etag.replaceAll('"', '');
  return isMatch ? undefined : FAILED;
}
