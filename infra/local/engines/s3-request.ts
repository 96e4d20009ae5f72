/** What a request asks of S3, read from its method, path and query. */
export interface S3Request {
  readonly method: string;
  readonly bucket: string;
  /** Empty for a request about the bucket itself. */
  readonly key: string;
  readonly query: Readonly<Record<string, unknown>>;
}

/** Why S3 would not do what a request asks. */
export interface S3Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}
