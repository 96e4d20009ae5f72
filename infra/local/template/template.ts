/** The parts of a CloudFormation template that decide what it means here. Rules, Transform and Metadata do not. */
export interface Template {
  readonly Parameters?: Readonly<Record<string, TemplateParameter>>;
  readonly Mappings?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly Conditions?: Readonly<Record<string, unknown>>;
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Outputs?: Readonly<Record<string, TemplateOutput>>;
}

export interface TemplateParameter {
  readonly Type: string;
  readonly Default?: string | number | boolean;
  readonly AllowedValues?: readonly (string | number | boolean)[];
}

export interface TemplateResource {
  readonly Type: string;
  readonly Properties?: Readonly<Record<string, unknown>>;
  readonly Metadata?: Readonly<Record<string, unknown>>;
  /** The name of a condition; where it is false, the resource does not exist. */
  readonly Condition?: string;
}

export interface TemplateOutput {
  readonly Value: unknown;
  readonly Condition?: string;
  /** The name under which other stacks import the value. */
  readonly Export?: { readonly Name: unknown };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads what `JSON.parse` gave for a synthesized template.
 * @throws Error when it has no resources or one of them has no type.
 */
export function readTemplate(value: unknown): Template {
  const resources = isRecord(value) ? value['Resources'] : undefined;
  if (!isRecord(resources)) {
    throw new Error(
      'This is no CloudFormation template: it has no Resources. Is it the file that cdk synth wrote?',
    );
  }
  for (const [logicalId, resource] of Object.entries(resources)) {
    if (!isRecord(resource) || typeof resource['Type'] !== 'string') {
      throw new Error(
        `Resources.${logicalId} has no Type; every resource of a CloudFormation template has one.`,
      );
    }
  }
  return value as Template;
}
