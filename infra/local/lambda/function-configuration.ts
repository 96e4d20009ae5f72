/** What Lambda knows of a function: the properties of AWS::Lambda::Function that decide how it runs. */
export interface FunctionConfiguration {
  readonly name: string;
  /** The unpacked bundle, an absolute path. LAMBDA_TASK_ROOT and the working directory of its environments. */
  readonly codeDirectory: string;
  /** `file.export`, as in `index.handler`. */
  readonly handler: string;
  /** 1 to 900. */
  readonly timeoutSeconds: number;
  /**
   * 128 to 10240. Bounds V8's heap, by the same shares as on Lambda; memory outside the heap (Buffers) is not
   * bounded here.
   */
  readonly memoryMb: number;
  /** The function's own variables, with the credentials and AWS_ENDPOINT_URL_* that this machine adds. */
  readonly environment: Readonly<Record<string, string>>;
  readonly region: string;
  readonly arn: string;
}

/** Quotas page of the Lambda developer guide, "Function timeout". */
export const MAXIMUM_TIMEOUT_SECONDS = 900;
/** Quotas page of the Lambda developer guide, "Function memory allocation". */
export const MINIMUM_MEMORY_MB = 128;
export const MAXIMUM_MEMORY_MB = 10_240;
