import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Names, RemovalPolicy, Stage } from 'aws-cdk-lib';
import { SubnetType, type IVpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function, LoggingFormat, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { DISABLE_ASSET_STAGING_CONTEXT } from 'aws-cdk-lib/cx-api';
import type { Construct } from 'constructs';
import { ENVIRONMENT, lookupVariable, sinkVariable } from '../../shared/lambda/environment.ts';
import { DEFAULTS } from './defaults.ts';
import { bundleHandler } from './handler-bundle.ts';
import { METRICS_NAMESPACE } from '../../shared/lambda/batch-metrics.ts';
import type { AnyTable } from './keyed-table.ts';
import type { SinkDestinations } from './sink-destinations.ts';
import type { StatefulPipelineProps } from './stateful-pipeline-props.ts';

/** What the function's environment variables name. */
export interface FunctionSurroundings {
  readonly stateTableName: string;
  readonly bucketName: string;
  /** Of all streams that the pipeline reads. */
  readonly streamNames: readonly string[];
  readonly streamArns: readonly string[];
  readonly sinks: SinkDestinations;
  readonly lookupTables: Readonly<Record<string, AnyTable>>;
  readonly repartition: { readonly sink: string; readonly stream: IStream } | undefined;
}

export interface PipelineFunction {
  readonly function: Function;
  /** The function's own role, without AWS's managed policies: these allow more than one log group. */
  readonly role: Role;
  readonly logGroup: LogGroup;
}

/** The function that folds batches, with its bundled code, log group, role and environment; it may do nothing yet. */
export function pipelineFunction(
  scope: Construct,
  props: StatefulPipelineProps,
  surroundings: FunctionSurroundings,
): PipelineFunction {
  const { name } = props.pipeline.definition;
  const role = new Role(scope, 'Role', {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: `Runs the pipeline ${name}`,
  });
  const logGroup = new LogGroup(scope, 'Logs', {
    retention: props.logRetention ?? DEFAULTS.logRetention,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const code = bundledCode(scope, props.handlerFile);
  const lambda = new Function(scope, 'Function', {
    description: `Pipeline ${name}: keyed state, exactly once`,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    handler: 'index.handler',
    code: code.code,
    role,
    logGroup,
    loggingFormat: LoggingFormat.JSON,
    tracing: props.tracing === false ? Tracing.DISABLED : Tracing.ACTIVE,
    ...(props.reservedConcurrency !== undefined && {
      reservedConcurrentExecutions: props.reservedConcurrency,
    }),
    ...(props.vpc && {
      // Under exact optional property types CDK's own Vpc is not assignable to its IVpc.
      vpc: props.vpc as IVpc,
      vpcSubnets: props.vpcSubnets ?? { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [...(props.securityGroups ?? [])],
    }),
    timeout: props.timeout ?? DEFAULTS.timeout,
    memorySize: props.memorySize ?? DEFAULTS.memorySize,
    environment: {
      ...props.environment,
      ...variables(name, props.parallelizationFactor ?? DEFAULTS.parallelizationFactor, surroundings),
      ...checkpointVariables(props.checkpoints),
      ...(props.forkOf && { [ENVIRONMENT.forkOf]: props.forkOf.definition.name }),
      [ENVIRONMENT.code]: code.digest,
    },
  });
  code.remove();
  return { function: lambda, role, logGroup };
}

function variables(
  name: string,
  parallelizationFactor: number,
  {
    stateTableName,
    bucketName,
    streamNames,
    streamArns,
    sinks,
    lookupTables,
    repartition,
  }: FunctionSurroundings,
): Record<string, string> {
  return {
    NODE_OPTIONS: '--enable-source-maps',
    POWERTOOLS_SERVICE_NAME: name,
    POWERTOOLS_METRICS_NAMESPACE: METRICS_NAMESPACE,
    [ENVIRONMENT.stateTable]: stateTableName,
    [ENVIRONMENT.bucket]: bucketName,
    [ENVIRONMENT.streams]: streamNames.join(','),
    [ENVIRONMENT.streamArns]: streamArns.join(','),
    [ENVIRONMENT.parallelizationFactor]: String(parallelizationFactor),
    [ENVIRONMENT.writes]: 'partiql',
    ...Object.fromEntries(
      [...sinks.streams].map(([sink, stream]) => [sinkVariable(sink), stream.streamName]),
    ),
    ...(repartition && { [sinkVariable(repartition.sink)]: repartition.stream.streamName }),
    ...Object.fromEntries([...sinks.tables].map(([sink, table]) => [sinkVariable(sink), table.tableName])),
    ...Object.fromEntries(
      Object.entries(lookupTables).map(([name, table]) => [lookupVariable(name), table.tableName]),
    ),
  };
}

function checkpointVariables(settings: StatefulPipelineProps['checkpoints']): Record<string, string> {
  const { keepLast, keepDaily, readUnitsPerSecond, fullEvery } = settings === false ? {} : (settings ?? {});
  return {
    ...(keepLast !== undefined && { [ENVIRONMENT.keepLast]: String(keepLast) }),
    ...(keepDaily !== undefined && { [ENVIRONMENT.keepDaily]: String(keepDaily) }),
    ...(readUnitsPerSecond !== undefined && {
      [ENVIRONMENT.checkpointReadUnits]: String(readUnitsPerSecond),
    }),
    ...(fullEvery !== undefined && { [ENVIRONMENT.fullEvery]: String(fullEvery) }),
  };
}

interface BundledCode {
  readonly code: Code;
  /** Equal for equal sources. */
  readonly digest: string;
  remove(): void;
}

/**
 * Bundles beside the other assets. CDK copies the folder under the name of its hash as soon as the function exists,
 * so that it can be removed then; with staging switched off CDK refers to the folder itself, which stays.
 */
function bundledCode(scope: Construct, handlerFile: string): BundledCode {
  const assetFolder = Stage.of(scope)?.assetOutdir;
  if (assetFolder === undefined) {
    throw new Error(
      `${scope.node.path} is in no App or Stage, so there is no folder for its code: put it into one.`,
    );
  }
  const directory = join(assetFolder, `bundle-${Names.uniqueId(scope)}`);
  const bundle = bundleHandler(handlerFile, directory);
  const staysInPlace = scope.node.tryGetContext(DISABLE_ASSET_STAGING_CONTEXT) !== undefined;
  return {
    // CDK caches an asset by its path unless told its hash; the path is the same for every version of the code.
    code: Code.fromAsset(directory, { assetHash: bundle.digest }),
    digest: bundle.digest,
    remove: () => {
      if (!staysInPlace) rmSync(directory, { recursive: true, force: true });
    },
  };
}
