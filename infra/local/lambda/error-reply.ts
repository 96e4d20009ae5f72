import type { AwsService } from './aws-service.ts';

export interface ErrorReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const DYNAMODB_NAMESPACE = 'com.amazonaws.dynamodb.v20120810#';
const THROTTLED = 'Injected: the request was throttled and took no effect.';
const FAILED = 'Injected: the request took effect and its reply was lost.';

/** How each service says that it was asked for too much, by the error lists of its API reference. */
export function throttlingReply(service: AwsService): ErrorReply {
  switch (service) {
    case 'dynamodb':
      return json('1.0', 400, `${DYNAMODB_NAMESPACE}ProvisionedThroughputExceededException`, THROTTLED);
    case 'kinesis':
      return json('1.1', 400, 'ProvisionedThroughputExceededException', THROTTLED);
    case 's3':
      return xml(503, 'SlowDown', THROTTLED);
    case 'sqs':
      return json('1.0', 400, 'com.amazonaws.sqs#RequestThrottled', THROTTLED);
    case 'other':
      return json('1.0', 400, 'ThrottlingException', THROTTLED);
  }
}

/** How each service says that something broke on its side. */
export function serverErrorReply(service: AwsService): ErrorReply {
  switch (service) {
    case 'dynamodb':
      return json('1.0', 500, `${DYNAMODB_NAMESPACE}InternalServerError`, FAILED);
    case 'kinesis':
      return json('1.1', 500, 'InternalFailure', FAILED);
    case 's3':
      return xml(500, 'InternalError', FAILED);
    case 'sqs':
    case 'other':
      return json('1.0', 500, 'InternalFailure', FAILED);
  }
}

function json(version: '1.0' | '1.1', status: number, type: string, message: string): ErrorReply {
  return {
    status,
    contentType: `application/x-amz-json-${version}`,
    body: JSON.stringify({ __type: type, message }),
  };
}

function xml(status: number, code: string, message: string): ErrorReply {
  return {
    status,
    contentType: 'application/xml',
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  };
}
