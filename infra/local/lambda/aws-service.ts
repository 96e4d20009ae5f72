import type { IncomingHttpHeaders } from 'node:http';

/** The services whose engines run on this machine; `other` for any that is reached by another endpoint. */
export type AwsService = 'dynamodb' | 'kinesis' | 's3' | 'sqs' | 'other';

/** Which service a request is for and what it asks: JSON services say it in X-Amz-Target, S3 by its method. */
export function describeRequest(
  headers: IncomingHttpHeaders,
  method: string,
): { readonly service: AwsService; readonly operation: string } {
  const [prefix = '', operation = ''] = String(headers['x-amz-target'] ?? '').split('.');
  if (prefix.startsWith('DynamoDB')) return { service: 'dynamodb', operation };
  if (prefix.startsWith('Kinesis')) return { service: 'kinesis', operation };
  if (prefix === 'AmazonSQS') return { service: 'sqs', operation };
  return prefix === '' ? { service: 's3', operation: method } : { service: 'other', operation };
}
