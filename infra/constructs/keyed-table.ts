import { RemovalPolicy } from 'aws-cdk-lib';
import {
  AttributeType,
  Billing,
  ProjectionType,
  TableEncryptionV2,
  TableV2,
  type CfnGlobalTable,
} from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import type { TimeDomain } from '../../shared/pipeline/definition.ts';
import { DUE_INDEXES } from '../../shared/state/due-buckets.ts';
import { ITEM } from '../../shared/state/item-attributes.ts';

/** The partition key of every table of a pipeline, a string; there is no sort key. */
export const PARTITION_KEY = 'pk';
/** The attribute of the state table that holds when an item expires, seconds since the epoch. */
export const STATE_TTL_ATTRIBUTE = 'x';

/**
 * What is needed of a table, whichever construct it is. CDK's own ITable does not fit: under exact optional property
 * types its implementations are not assignable to it.
 */
export interface AnyTable {
  /** Where it is, tokens where that is not known. */
  readonly env: { readonly account: string; readonly region: string };
  readonly tableArn: string;
  readonly tableName: string;
  readonly encryptionKey?: IKey | undefined;
}

export interface KeyedTableProps {
  readonly removalPolicy: RemovalPolicy;
  /** Default: the key that AWS manages for DynamoDB. */
  readonly encryptionKey?: IKey | undefined;
  readonly timeToLiveAttribute?: string;
  /** For what items wait: the table gets the index of what is due by each of these times, in which no other item stands. */
  readonly waitsFor?: readonly TimeDomain[];
}

/** A table on demand with the one key form that state and sinks use, recoverable to any second of 35 days. */
export function keyedTable(scope: Construct, id: string, props: KeyedTableProps): TableV2 {
  const { waitsFor = [] } = props;
  const table = new TableV2(scope, id, {
    partitionKey: { name: PARTITION_KEY, type: AttributeType.STRING },
    billing: Billing.onDemand(),
    encryption: TableEncryptionV2.awsManagedKey(),
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    removalPolicy: props.removalPolicy,
    deletionProtection: props.removalPolicy !== RemovalPolicy.DESTROY,
    ...(props.timeToLiveAttribute === undefined ? {} : { timeToLiveAttribute: props.timeToLiveAttribute }),
    ...(waitsFor.length > 0 && {
      globalSecondaryIndexes: waitsFor.map((domain) => ({
        indexName: DUE_INDEXES[domain].name,
        partitionKey: { name: ITEM.dueBucket, type: AttributeType.STRING },
        sortKey: { name: DUE_INDEXES[domain].due, type: AttributeType.NUMBER },
        projectionType: ProjectionType.KEYS_ONLY,
      })),
    }),
  });
  // CDK refuses a customer's key in a stack of no given region, where the one replica is in the stack's own.
  const resource = table.node.defaultChild as CfnGlobalTable;
  if (props.encryptionKey !== undefined) {
    resource.addPropertyOverride('Replicas.0.SSESpecification.KMSMasterKeyId', props.encryptionKey.keyArn);
  }
  return table;
}
