import type { FunctionConfiguration } from './function-configuration.ts';

/** What only the one who starts the environment knows. */
interface RuntimeSettings {
  /** `host:port` of the Runtime API. */
  readonly runtimeApi: string;
  readonly logStreamName: string;
  /** The PATH of this machine: without it a function could not start any program. */
  readonly path: string;
}

/**
 * Everything an environment's process sees, and so nothing of what this machine's user has set. The names are those
 * of "Defined runtime environment variables" in the Lambda developer guide.
 */
export function environmentVariables(
  configuration: FunctionConfiguration,
  settings: RuntimeSettings,
): Record<string, string> {
  return {
    PATH: settings.path,
    LANG: 'en_US.UTF-8',
    ...configuration.environment,
    // Behind the function's own: on Lambda these keys are reserved.
    TZ: ':UTC',
    AWS_REGION: configuration.region,
    AWS_DEFAULT_REGION: configuration.region,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.', 1).join('')}.x`,
    AWS_LAMBDA_FUNCTION_NAME: configuration.name,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(configuration.memoryMb),
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: logGroupName(configuration.name),
    AWS_LAMBDA_LOG_STREAM_NAME: settings.logStreamName,
    AWS_LAMBDA_RUNTIME_API: settings.runtimeApi,
    LAMBDA_TASK_ROOT: configuration.codeDirectory,
    _HANDLER: configuration.handler,
  };
}

function logGroupName(functionName: string): string {
  return `/aws/lambda/${functionName}`;
}
