import type { S3Refusal, S3Request } from './s3-request.ts';

/** Parameters that name the operation for logs, or sign a URL: they change nothing about what is asked. */
const WITHOUT_MEANING = /^(x-id|x-amz-.*)$/i;

const LISTING = [
  'list-type',
  'prefix',
  'delimiter',
  'max-keys',
  'start-after',
  'continuation-token',
  'marker',
  'fetch-owner',
  'encoding-type',
];

const IMPLEMENTED: Readonly<Record<string, readonly string[]>> = {
  'GET bucket': LISTING,
  'POST bucket': ['delete'],
  'PUT object': ['uploadId', 'partNumber'],
  'POST object': ['uploads', 'uploadId'],
  'DELETE object': ['uploadId'],
};

/**
 * Refuses what fauxqs would answer with success without doing it. It knows few query parameters and ignores the rest:
 * a `PUT …?tagging` overwrites the object with the tags, a `GET …?versioning` gives a listing.
 * @returns undefined where fauxqs does what is asked.
 */
export function refuseSubresource({ method, key, query }: S3Request): S3Refusal | undefined {
  const implemented = IMPLEMENTED[`${method} ${key === '' ? 'bucket' : 'object'}`] ?? [];
  const unknown = Object.keys(query).find(
    (name) => !WITHOUT_MEANING.test(name) && !implemented.includes(name),
  );
  if (unknown === undefined) return undefined;
  return {
    status: 501,
    code: 'NotImplemented',
    message: `The local S3 has no ${method} …?${unknown}. It stores, reads, lists and deletes objects, whole or in parts.`,
  };
}
