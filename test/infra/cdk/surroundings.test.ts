import { Match } from 'aws-cdk-lib/assertions';
import { SecurityGroup, SubnetType, Vpc, type IVpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Stack } from 'aws-cdk-lib';
import { describe, expect, it } from 'vitest';
import { ordersPipeline, SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { emptyStack, ordersStack } from './fixtures/orders-stack.ts';
import { StatefulPipeline } from '../../../infra/constructs/stateful-pipeline.ts';

function policies(template: ReturnType<typeof ordersStack>['template']): string {
  return JSON.stringify(template.findResources('AWS::IAM::Policy'));
}

describe('the key of the user', () => {
  const withKey = () => ordersStack((stack) => ({ encryptionKey: new Key(stack, 'OwnKey') })).template;
  const arn = { 'Fn::GetAtt': [Match.stringLikeRegexp('^OwnKey'), 'Arn'] };

  it('encrypts each table, each stream and the bucket', () => {
    const template = withKey();
    template.allResourcesProperties('AWS::DynamoDB::GlobalTable', {
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
      Replicas: [Match.objectLike({ SSESpecification: { KMSMasterKeyId: arn } })],
    });
    template.allResourcesProperties('AWS::Kinesis::Stream', {
      StreamEncryption: { EncryptionType: 'KMS', KeyId: Match.anyValue() },
    });
    expect(JSON.stringify(template.findResources('AWS::Kinesis::Stream'))).not.toContain('alias/aws/kinesis');
    template.hasResourceProperties('AWS::S3::Bucket', {
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          {
            BucketKeyEnabled: true,
            ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: arn },
          },
        ],
      },
    });
  });

  it('may be used by the function, to read and to write', () => {
    const template = withKey();
    for (const action of ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:DescribeKey']) {
      expect(policies(template)).toContain(`"${action}"`);
    }
    expect(policies(template)).not.toContain('kms:*');
  });
});

describe('without a key of the user', () => {
  it('the function may use none', () => {
    expect(policies(ordersStack().template)).not.toContain('kms:');
  });
});

describe('a network', () => {
  function inVpc(stack: Stack) {
    const vpc = new Vpc(stack, 'Net', { natGateways: 1, maxAzs: 2 });
    return { vpc, securityGroups: [new SecurityGroup(stack, 'Out', { vpc: vpc as IVpc })] };
  }

  it('has the function in its private subnets, which may make its interfaces there', () => {
    const { template } = ordersStack(inVpc);

    template.hasResourceProperties('AWS::Lambda::Function', {
      VpcConfig: {
        SecurityGroupIds: [{ 'Fn::GetAtt': [Match.stringLikeRegexp('^Out'), 'GroupId'] }],
        SubnetIds: [
          { Ref: Match.stringLikeRegexp('PrivateSubnet1') },
          { Ref: Match.stringLikeRegexp('PrivateSubnet2') },
        ],
      },
    });
    expect(policies(template)).toContain('ec2:CreateNetworkInterface');
    // The endpoints are the network's owner's.
    template.resourceCountIs('AWS::EC2::VPCEndpoint', 0);
  });

  it('is in the subnets that are given', () => {
    const { template } = ordersStack((stack) => {
      const vpc = new Vpc(stack, 'Net', {
        natGateways: 0,
        subnetConfiguration: [{ name: 'Closed', subnetType: SubnetType.PRIVATE_ISOLATED }],
      });
      return {
        vpc,
        vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
        securityGroups: [new SecurityGroup(stack, 'Out', { vpc: vpc as IVpc })],
      };
    });

    template.hasResourceProperties('AWS::Lambda::Function', {
      VpcConfig: { SubnetIds: Match.arrayWith([{ Ref: Match.stringLikeRegexp('ClosedSubnet1') }]) },
    });
  });

  it('is none unless it is given, and no interface may be made', () => {
    const { template } = ordersStack();

    template.hasResourceProperties('AWS::Lambda::Function', {
      VpcConfig: Match.absent(),
      ReservedConcurrentExecutions: Match.absent(),
    });
    expect(policies(template)).not.toContain('ec2:');
  });
});

describe('the function', () => {
  it('has concurrency of its own and no traces where that is said', () => {
    const { template } = ordersStack({ reservedConcurrency: 5, tracing: false });

    template.hasResourceProperties('AWS::Lambda::Function', {
      ReservedConcurrentExecutions: 5,
      TracingConfig: Match.absent(),
    });
    expect(policies(template)).not.toContain('xray:');
  });
});

describe('what does not go together is refused', () => {
  function made(settings: (stack: Stack) => object): () => unknown {
    const stack = emptyStack();
    const props = { pipeline: ordersPipeline(), handlerFile: SMALL_HANDLER_FILE, ...settings(stack) };
    return () => new StatefulPipeline(stack, 'Pipeline', props);
  }

  it.each([
    [{ reservedConcurrency: 0 }, 'reservedConcurrency is 0; it must be a whole number from 2 to'],
    [{ reservedConcurrency: 1.5 }, 'reservedConcurrency is 1.5; it must be a whole number from 2 to'],
    [
      { shardCount: 4, parallelizationFactor: 2, reservedConcurrency: 8 },
      'reservedConcurrency is 8; it must be a whole number from 9 to',
    ],
    [
      { vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED } },
      'vpcSubnets is given, but no vpc: give the vpc too, or remove vpcSubnets.',
    ],
    [
      { securityGroups: [] },
      'securityGroups is given, but no vpc: give the vpc too, or remove securityGroups.',
    ],
  ])('%j', (settings, message) => {
    expect(made(() => settings)).toThrow(message);
  });

  it('a network without a security group', () => {
    expect(made((stack) => ({ vpc: new Vpc(stack, 'Net') }))).toThrow(
      'vpc is given, but securityGroups are not; at least one is needed',
    );
  });

  it('accepts as much concurrency as the shards need', () => {
    expect(made(() => ({ shardCount: 4, parallelizationFactor: 2, reservedConcurrency: 9 }))).not.toThrow();
  });
});
