import { LOCAL_CREDENTIALS, LOCAL_REGION } from './local-account.ts';

/** Where each service answers: `http://127.0.0.1:<port>`, without a slash at the end. */
export interface EngineEndpoints {
  readonly kinesis: string;
  readonly dynamodb: string;
  readonly s3: string;
  readonly sqs: string;
}

/**
 * The variables by which an AWS SDK in another process finds the engines: the service-specific endpoints of the SDK's
 * configuration, the region and the keys. A process that has these and AWS's own values needs no code of its own to
 * run locally, but for Kinesis over HTTP/1.1 (see engine-clients.ts).
 */
export function endpointVariables(endpoints: EngineEndpoints): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_KINESIS: endpoints.kinesis,
    AWS_ENDPOINT_URL_DYNAMODB: endpoints.dynamodb,
    AWS_ENDPOINT_URL_S3: endpoints.s3,
    AWS_ENDPOINT_URL_SQS: endpoints.sqs,
    AWS_REGION: LOCAL_REGION,
    AWS_DEFAULT_REGION: LOCAL_REGION,
    AWS_ACCESS_KEY_ID: LOCAL_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: LOCAL_CREDENTIALS.secretAccessKey,
  };
}
