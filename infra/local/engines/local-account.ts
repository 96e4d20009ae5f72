/**
 * Who and where the local cloud claims to be. kinesis-mock and fauxqs put this account into the ARNs that they give
 * out, so that an ARN made here and one answered by an engine are the same text.
 */
export const LOCAL_ACCOUNT = '000000000000';

export const LOCAL_REGION = 'us-east-1';

/**
 * Keys that every engine accepts. DynamoDB Local refuses an access key with anything but letters and digits, and
 * kinesis-mock takes a 12-digit access key for an account of its own.
 */
export const LOCAL_CREDENTIALS = { accessKeyId: 'tidemarklocal', secretAccessKey: 'tidemarklocal' } as const;
