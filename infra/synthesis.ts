import { App, AssetStaging, Validations } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { AwsSolutionsChecks } from 'cdk-nag';
import { chainProblems, chainTo, nameOf, sinkRetentionHours, streamOwnerOf, upstreamOf } from './chain.ts';
import { refuse } from './constructs/refuse-wrong-settings.ts';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';
import { PipelineStack } from './stack.ts';

/** Which pipelines are synthesized, where to, and what is different from their own settings. */
export interface SynthesisOptions {
  /** Names of pipelines, to which those are added that feed them. Default: all. */
  readonly pipelines?: readonly string[];
  /** Default: what the CDK command line says, else a temporary folder. */
  readonly outdir?: string;
  /** Settings that replace those of every pipeline; `shardCount` only where the source stream is made. */
  readonly overrides?: Pick<
    StatefulPipelineProps,
    'shardCount' | 'batchSize' | 'maximumBatchingWindow' | 'parallelizationFactor' | 'removalPolicy'
  >;
  /**
   * A part of every stack's name, for several deployments in one account. Default: what the command line gives with
   * `-c env=…`, else none.
   */
  readonly environment?: string;
  /**
   * Whether CDK checks the templates against CloudFormation's resource schemas, which takes some seconds of loading
   * in a new process. Default: true. Rules and settings are always checked.
   */
  readonly checkSchemas?: boolean;
}

/**
 * CDK's newer behaviours that a template of ours can show. They stand here and not in `cdk.json`, so that a template
 * made in process is the one that the command line makes.
 */
const CONTEXT = {
  '@aws-cdk/aws-dynamodb:resourcePolicyPerReplica': true,
  '@aws-cdk/aws-dynamodb:retainTableReplica': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/aws-s3:publicAccessBlockedByDefault': true,
  '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
  '@aws-cdk/core:annotationsInValidationReport': true,
  '@aws-cdk/core:checkSecretUsage': true,
  // A stream that another stack reads can be neither replaced nor removed: records would be lost unseen.
  '@aws-cdk/core:defaultCrossStackReferences': 'strong',
  '@aws-cdk/core:enablePartitionLiterals': true,
  '@aws-cdk/core:explicitStackTags': true,
  '@aws-cdk/core:includePrefixInUniqueNameGeneration': true,
  '@aws-cdk/core:target-partitions': ['aws', 'aws-cn'],
  '@aws-cdk/core:validateAgainstDefaultRules': true,
};

/**
 * Makes the templates and assets of pipelines, without an account, in this process, and has cdk-nag's AwsSolutions
 * rules judge them.
 * @throws Error when a name is unknown or used twice, when settings are wrong, or when a rule is broken.
 */
export function synthesizePipelines(
  deployed: readonly StatefulPipelineProps[],
  options: SynthesisOptions = {},
): CloudAssembly {
  // The same process may synthesize again after sources have changed.
  AssetStaging.clearAssetHashCache();
  const app = new App({
    ...(options.outdir === undefined ? {} : { outdir: options.outdir }),
    analyticsReporting: false,
    builtinCloudFormationValidation: options.checkSchemas ?? true,
    postCliContext: CONTEXT,
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
  const { pipelines = deployed.map(nameOf), overrides = {} } = options;
  refuseEqualNames(deployed);
  const changed = deployed.map((props) => {
    const { shardCount, ...others } = overrides;
    const isMade =
      shardCount !== undefined &&
      upstreamOf(deployed, props) === undefined &&
      streamOwnerOf(deployed, props) === undefined;
    return { ...props, ...others, ...(isMade && { shardCount }) };
  });
  const environment = options.environment ?? contextText(app, 'env');
  const stacks = new Map<StatefulPipelineProps, PipelineStack>();
  for (const name of pipelines) {
    for (const props of chainTo(changed, name)) {
      if (!stacks.has(props)) stacks.set(props, pipelineStack(app, changed, props, stacks, environment));
    }
  }
  return app.synth();
}

/** @param stacks those that stand already, the one that feeds this one among them. */
function pipelineStack(
  app: App,
  deployed: readonly StatefulPipelineProps[],
  props: StatefulPipelineProps,
  stacks: ReadonlyMap<StatefulPipelineProps, PipelineStack>,
  environment: string | undefined,
): PipelineStack {
  refuse(nameOf(props), [...chainProblems(deployed, props)]);
  const upstream = upstreamOf(deployed, props);
  const owner = streamOwnerOf(deployed, props);
  const stream =
    (upstream && stacks.get(upstream.deployed)?.pipeline.sinks.streams.get(upstream.sinks[0].name)) ??
    (owner && stacks.get(owner)?.pipeline.stream);
  return new PipelineStack(
    app,
    {
      ...props,
      ...(stream && { stream }),
      sinkRetentionHours: sinkRetentionHours(deployed, props),
    },
    environment,
  );
}

function contextText(app: App, name: string): string | undefined {
  const value: unknown = app.node.tryGetContext(name);
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
}

function refuseEqualNames(deployed: readonly StatefulPipelineProps[]): void {
  const names = deployed.map(nameOf);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice === undefined) return;
  throw new Error(
    `Two pipelines are named ${JSON.stringify(twice)}; stacks carry the name: rename one of them.`,
  );
}
