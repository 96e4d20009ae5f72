import { App, AssetStaging, Validations } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { StatefulPipelineProps } from './constructs/stateful-pipeline-props.ts';
import { PipelineStack } from './stack.ts';

/** Which pipelines are synthesized, where to, and what is different from their own settings. */
export interface SynthesisOptions {
  /** Names of pipelines. Default: all. */
  readonly pipelines?: readonly string[];
  /** Default: what the CDK command line says, else a temporary folder. */
  readonly outdir?: string;
  /** Settings that replace those of every pipeline. */
  readonly overrides?: Pick<StatefulPipelineProps, 'shardCount' | 'batchSize' | 'parallelizationFactor'>;
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
  for (const props of selected(deployed, options.pipelines)) {
    new PipelineStack(app, { ...props, ...options.overrides });
  }
  return app.synth();
}

function selected(
  deployed: readonly StatefulPipelineProps[],
  names: readonly string[] | undefined,
): readonly StatefulPipelineProps[] {
  const byName = new Map<string, StatefulPipelineProps>();
  for (const props of deployed) {
    const { name } = props.pipeline.definition;
    if (byName.has(name)) {
      throw new Error(
        `Two pipelines are named ${JSON.stringify(name)}; stacks carry the name: rename one of them.`,
      );
    }
    byName.set(name, props);
  }
  if (names === undefined) return deployed;
  return [...new Set(names)].map((name) => {
    const props = byName.get(name);
    if (props === undefined) {
      throw new Error(
        `There is no pipeline ${JSON.stringify(name)}; there are ${JSON.stringify([...byName.keys()])}. ` +
          'Pipelines are listed in infra/pipelines.ts.',
      );
    }
    return props;
  });
}
