import { resolveCondition, resolveValue } from './intrinsic-functions.ts';
import { type IntrinsicScope, NO_VALUE, Place } from './intrinsic-scope.ts';
import type { Identify, ResolvedResource, ResourceIdentity } from './resource-identity.ts';
import type { Template, TemplateParameter } from './template.ts';
import { WITHOUT_LOCAL_MEANING } from './without-local-meaning.ts';

export interface ResolveOptions {
  readonly stackName: string;
  readonly region: string;
  readonly account: string;
  /** Values of parameters, in place of their defaults. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** What the stacks export that stand already, by the exports' names. */
  readonly imports?: ReadonlyMap<string, unknown>;
  /**
   * How the resources of a type are named, by type: the types that have a meaning here. Others are not resolved; a
   * reference to one gives a value that looks right and leads nowhere.
   */
  readonly identify: ReadonlyMap<string, Identify>;
}

export interface IdentifiedResource extends ResolvedResource, ResourceIdentity {
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface ResolvedTemplate {
  readonly stackName: string;
  /** The resources with a meaning here whose condition holds, in the template's order. */
  readonly resources: readonly IdentifiedResource[];
  readonly outputs: Readonly<Record<string, unknown>>;
  /** What other stacks may import, by the export's name. */
  readonly exports: ReadonlyMap<string, unknown>;
  /** How many resources do nothing here, by type, and why. */
  readonly ignored: readonly { readonly type: string; readonly count: number; readonly reason: string }[];
  /** One sentence for each type that neither means anything here nor is known to mean nothing. */
  readonly notices: readonly string[];
}

/**
 * Resolves a template as CloudFormation would for one stack. Pure: the same template and options give the same result,
 * in whatever order the resources stand.
 * @throws Error naming the place in the template: unknown names, wrong arguments, missing parameters, circular references.
 */
export function resolveTemplate(template: Template, options: ResolveOptions): ResolvedTemplate {
  const scope = new TemplateScope(template, options);
  const resources: IdentifiedResource[] = [];
  const others = new Map<string, number>();
  for (const [logicalId, { Type: type }] of Object.entries(template.Resources)) {
    if (!scope.exists(logicalId)) continue;
    if (options.identify.has(type)) resources.push(scope.resource(logicalId));
    else others.set(type, (others.get(type) ?? 0) + 1);
  }
  const outputs: Record<string, unknown> = {};
  const exports = new Map<string, unknown>();
  for (const [name, output] of Object.entries(template.Outputs ?? {})) {
    const place = new Place(`Outputs.${name}`);
    if (output.Condition !== undefined && !scope.condition(output.Condition, place)) continue;
    outputs[name] = resolveValue(output.Value, place.in('Value'), scope);
    if (output.Export === undefined) continue;
    const exportName = resolveValue(output.Export.Name, place.in('Export').in('Name'), scope);
    exports.set(String(exportName), outputs[name]);
  }
  const sorted = [...others].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    stackName: options.stackName,
    resources,
    outputs,
    exports,
    ignored: sorted.flatMap(([type, count]) => {
      const reason = WITHOUT_LOCAL_MEANING.get(type);
      return reason === undefined ? [] : [{ type, count, reason }];
    }),
    notices: sorted
      .filter(([type]) => !WITHOUT_LOCAL_MEANING.has(type))
      .map(
        ([type, count]) =>
          `${type} (${count} in ${options.stackName}) does nothing on this machine: the local cloud does not know it.`,
      ),
  };
}

/** Resolves each name of a template once, when something first asks for it. */
class TemplateScope implements IntrinsicScope {
  readonly #template: Template;
  readonly #options: ResolveOptions;
  readonly #resources = new Map<string, IdentifiedResource>();
  readonly #conditions = new Map<string, boolean>();
  /** What is being resolved at this moment, outermost first: what is met in here again is circular. */
  readonly #underway: string[] = [];

  constructor(template: Template, options: ResolveOptions) {
    this.#template = template;
    this.#options = options;
  }

  exists(logicalId: string): boolean {
    const name = this.#template.Resources[logicalId]?.Condition;
    return name === undefined || this.condition(name, new Place(`Resources.${logicalId}.Condition`));
  }

  resource(logicalId: string): IdentifiedResource {
    const known = this.#resources.get(logicalId);
    if (known !== undefined) return known;
    const declared = this.#template.Resources[logicalId];
    const identify = declared && this.#options.identify.get(declared.Type);
    if (declared === undefined || identify === undefined) {
      throw new Error(`Resources.${logicalId} is not a resource that has a meaning here.`);
    }
    const place = new Place(`Resources.${logicalId}`);
    const resource = this.#once(`Resources.${logicalId}`, place, () => {
      const properties = resolveValue(declared.Properties ?? {}, place.in('Properties'), this);
      return { logicalId, type: declared.Type, properties: properties as Readonly<Record<string, unknown>> };
    });
    const identified = { ...resource, ...identify(resource), metadata: declared.Metadata ?? {} };
    this.#resources.set(logicalId, identified);
    return identified;
  }

  ref(name: string, place: Place): unknown {
    const { stackName, region, account } = this.#options;
    switch (name) {
      case 'AWS::NoValue':
        return NO_VALUE;
      case 'AWS::Region':
        return region;
      case 'AWS::AccountId':
        return account;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::StackName':
        return stackName;
      case 'AWS::StackId':
        return `arn:aws:cloudformation:${region}:${account}:stack/${stackName}/local`;
      case 'AWS::NotificationARNs':
        return [];
    }
    const parameter = this.#own(this.#template.Parameters, name);
    if (parameter !== undefined) return this.#parameter(name, parameter, place);
    return this.#identity(name, place).ref;
  }

  attribute(logicalId: string, attribute: string, place: Place): string {
    const { attributes } = this.#identity(logicalId, place);
    const value = this.#own(attributes, attribute);
    if (value !== undefined) return value;
    const type = this.#template.Resources[logicalId]?.Type;
    if (type !== undefined && !this.#options.identify.has(type)) {
      return this.#placeholder(logicalId, attribute);
    }
    throw place.error(
      `${logicalId} (${type}) has no attribute ${attribute} here; it has ${Object.keys(attributes).join(', ') || 'none'}.`,
    );
  }

  condition(name: string, place: Place): boolean {
    const known = this.#conditions.get(name);
    if (known !== undefined) return known;
    const declared = this.#own(this.#template.Conditions, name);
    if (declared === undefined) {
      throw place.error(`condition ${JSON.stringify(name)} is not among the template's Conditions.`);
    }
    const isTrue = this.#once(`Conditions.${name}`, place, () =>
      resolveCondition(declared, new Place(`Conditions.${name}`), this),
    );
    this.#conditions.set(name, isTrue);
    return isTrue;
  }

  mapping(map: string, top: string, second: string): unknown {
    const entry = this.#own(this.#own(this.#template.Mappings, map), top);
    return this.#own(entry, second);
  }

  imported(name: string, place: Place): unknown {
    const { imports } = this.#options;
    if (imports?.has(name) === true) return imports.get(name);
    throw place.error(
      `it imports ${JSON.stringify(name)}, which no stack exports that stands before this one; exported are ` +
        `${[...(imports?.keys() ?? [])].join(', ') || 'none'}.`,
    );
  }

  #identity(logicalId: string, place: Place): ResourceIdentity {
    const declared = this.#own(this.#template.Resources, logicalId);
    if (declared === undefined) {
      throw place.error(
        `${JSON.stringify(logicalId)} is neither a parameter, a pseudo parameter nor a resource of the template.`,
      );
    }
    if (!this.exists(logicalId)) {
      throw place.error(`${logicalId} does not exist: its condition ${declared.Condition} is false.`);
    }
    if (this.#options.identify.has(declared.Type)) {
      this.#refuseCircle(`Resources.${logicalId}`, place);
      return this.resource(logicalId);
    }
    return { ref: `${this.#options.stackName}-${logicalId}`, attributes: {} };
  }

  #parameter(name: string, parameter: TemplateParameter, place: Place): unknown {
    const given = this.#own(this.#options.parameters, name);
    if (given === undefined && parameter.Type.startsWith('AWS::SSM::')) {
      throw place.error(
        `parameter ${name} is read from the SSM parameter ${JSON.stringify(parameter.Default)}, ` +
          'which is not here. Hand in a value for it.',
      );
    }
    const value = given ?? parameter.Default;
    if (value === undefined) {
      throw place.error(`parameter ${name} has no default. Hand in a value for it.`);
    }
    const allowed = parameter.AllowedValues?.map(String);
    if (allowed !== undefined && !allowed.includes(String(value))) {
      throw place.error(`parameter ${name} is ${JSON.stringify(value)}; allowed are ${allowed.join(', ')}.`);
    }
    const isList = parameter.Type === 'CommaDelimitedList' || parameter.Type.startsWith('List<');
    return isList
      ? String(value)
          .split(',')
          .map((element) => element.trim())
      : String(value);
  }

  /** For a resource that means nothing here: of the right form, so that what parses it goes on. */
  #placeholder(logicalId: string, attribute: string): string {
    const { stackName, region, account } = this.#options;
    const service = (this.#template.Resources[logicalId]?.Type.split('::')[1] ?? 'local').toLowerCase();
    const name = `${stackName}-${logicalId}`;
    if (!attribute.endsWith('Arn')) return `${name}.${attribute}`;
    return service === 'iam'
      ? `arn:aws:iam::${account}:role/${name}`
      : `arn:aws:${service}:${region}:${account}:${name}`;
  }

  #once<Result>(name: string, place: Place, resolve: () => Result): Result {
    this.#refuseCircle(name, place);
    this.#underway.push(name);
    try {
      return resolve();
    } finally {
      this.#underway.pop();
    }
  }

  #refuseCircle(name: string, place: Place): void {
    const from = this.#underway.indexOf(name);
    if (from < 0) return;
    const circle = [...this.#underway.slice(from), name].join(' -> ');
    throw place.error(`circular reference: ${circle}. CloudFormation refuses this too; break the circle.`);
  }

  /** Names come from the template: `constructor` must not be found on every object. */
  #own<Value>(record: Readonly<Record<string, Value>> | undefined, name: string): Value | undefined {
    return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
  }
}
