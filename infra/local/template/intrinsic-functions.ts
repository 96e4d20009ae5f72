import { type IntrinsicScope, NO_VALUE, type Place } from './intrinsic-scope.ts';
import { isRecord } from './template.ts';

type Intrinsic = (argument: unknown, place: Place, scope: IntrinsicScope) => unknown;

/**
 * Resolves every intrinsic function in a value of a template, innermost first.
 * @returns the plain value, or `NO_VALUE`.
 * @throws Error naming the place, for an argument that the function does not take and for a function that has no
 * meaning here.
 */
export function resolveValue(value: unknown, place: Place, scope: IntrinsicScope): unknown {
  if (Array.isArray(value)) {
    return value
      .map((element: unknown, index) => resolveValue(element, place.in(index), scope))
      .filter((element) => element !== NO_VALUE);
  }
  if (typeof value === 'string' && value.includes('{{resolve:')) {
    throw place.error(
      `${value} is a dynamic reference, and there is no parameter store or secret behind it here. ` +
        'Hand the value in as a parameter.',
    );
  }
  if (!isRecord(value)) return value;
  const name = intrinsicName(value);
  if (name !== undefined) {
    const intrinsic = INTRINSICS[name];
    if (intrinsic === undefined) {
      throw place.error(
        `${name} is not known to the local cloud. Known are ${Object.keys(INTRINSICS).join(', ')}; ` +
          'write the value so that it needs no other.',
      );
    }
    return intrinsic(value[name], place.in(name), scope);
  }
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, resolveValue(inner, place.in(key), scope)] as const)
    .filter(([, inner]) => inner !== NO_VALUE);
  return Object.fromEntries(entries);
}

/**
 * Resolves a condition: an intrinsic of logic, or `{ Condition: name }`.
 * @throws Error when it is anything else.
 */
export function resolveCondition(value: unknown, place: Place, scope: IntrinsicScope): boolean {
  if (isRecord(value) && typeof value['Condition'] === 'string' && Object.keys(value).length === 1) {
    return scope.condition(value['Condition'], place);
  }
  const result = resolveValue(value, place, scope);
  if (typeof result !== 'boolean') {
    throw place.error(
      `a condition is made of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition, not ${JSON.stringify(value)}.`,
    );
  }
  return result;
}

function intrinsicName(value: Readonly<Record<string, unknown>>): string | undefined {
  const [name, ...others] = Object.keys(value);
  if (name === undefined || others.length > 0) return undefined;
  return name === 'Ref' || name.startsWith('Fn::') ? name : undefined;
}

const INTRINSICS: Readonly<Record<string, Intrinsic>> = {
  Ref: (argument, place, scope) => scope.ref(plainText(argument, place), place),

  'Fn::GetAtt': (argument, place, scope) => {
    const [logicalId, attribute] =
      typeof argument === 'string' ? splitOnce(argument, '.') : list(argument, place, scope);
    return scope.attribute(text(logicalId, place), text(attribute, place), place);
  },

  'Fn::Sub': (argument, place, scope) => {
    const [template, own] = Array.isArray(argument) ? (argument as unknown[]) : [argument, {}];
    if (!isRecord(own))
      throw place.error(`its second argument is ${JSON.stringify(own)}, not a map of values.`);
    return substitute(plainText(template, place), own, place, scope);
  },

  'Fn::Join': (argument, place, scope) => {
    const [delimiter, values] = list(argument, place, scope);
    return texts(values, place).join(text(delimiter, place));
  },

  'Fn::Split': (argument, place, scope) => {
    const [delimiter, value] = list(argument, place, scope);
    const separator = text(delimiter, place);
    if (separator === '') throw place.error('its delimiter is empty; it takes at least one character.');
    return text(value, place).split(separator);
  },

  'Fn::Select': (argument, place, scope) => {
    const [index, values] = list(argument, place, scope);
    if (!Array.isArray(values))
      throw place.error(`it selects from ${JSON.stringify(values)}, which is no list.`);
    const position = Number(index);
    if (index === '' || !Number.isInteger(position) || position < 0 || position >= values.length) {
      throw place.error(
        `index ${JSON.stringify(index)} is not one of the ${values.length} elements, from 0.`,
      );
    }
    return values[position] as unknown;
  },

  'Fn::FindInMap': (argument, place, scope) => {
    const [map, top, second, fallback] = list(argument, place, scope);
    const [mapName, topKey, secondKey] = [text(map, place), text(top, place), text(second, place)];
    const found = scope.mapping(mapName, topKey, secondKey);
    if (found !== undefined) return found;
    if (isRecord(fallback) && 'DefaultValue' in fallback) return fallback['DefaultValue'];
    throw place.error(`Mappings.${mapName}.${topKey}.${secondKey} is not in the template.`);
  },

  'Fn::If': (argument, place, scope) => {
    if (!Array.isArray(argument) || argument.length !== 3) {
      throw place.error('it takes [condition name, value if true, value if false].');
    }
    const [name, whenTrue, whenFalse] = argument as unknown[];
    // Only the branch that is taken is looked at: the other may name resources that do not exist.
    return scope.condition(plainText(name, place), place)
      ? resolveValue(whenTrue, place.in(1), scope)
      : resolveValue(whenFalse, place.in(2), scope);
  },

  'Fn::Equals': (argument, place, scope) => {
    const values = list(argument, place, scope);
    if (values.length !== 2) throw place.error(`it compares 2 values, not ${values.length}.`);
    return comparable(values[0]) === comparable(values[1]);
  },

  'Fn::And': (argument, place, scope) => conditions(argument, 2, place, scope).every(Boolean),
  'Fn::Or': (argument, place, scope) => conditions(argument, 2, place, scope).some(Boolean),
  'Fn::Not': (argument, place, scope) => !conditions(argument, 1, place, scope)[0],

  'Fn::Base64': (argument, place, scope) =>
    Buffer.from(text(resolveValue(argument, place, scope), place)).toString('base64'),

  'Fn::ImportValue': (argument, place, scope) =>
    scope.imported(text(resolveValue(argument, place, scope), place), place),
};

function conditions(argument: unknown, least: number, place: Place, scope: IntrinsicScope): boolean[] {
  const most = least === 1 ? 1 : 10;
  if (!Array.isArray(argument) || argument.length < least || argument.length > most) {
    throw place.error(`it takes a list of ${least === most ? least : `${least} to ${most}`} conditions.`);
  }
  return argument.map((condition: unknown, index) => resolveCondition(condition, place.in(index), scope));
}

/** CloudFormation hands out parameters as text, so that 1 and "1" are equal. */
function comparable(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

const PLACEHOLDER = /\$\{(!?)([^}]*)\}/g;

function substitute(
  template: string,
  own: Readonly<Record<string, unknown>>,
  place: Place,
  scope: IntrinsicScope,
): string {
  return template.replaceAll(PLACEHOLDER, (_whole, isLiteral: string, inner: string) => {
    if (isLiteral === '!') return `\${${inner}}`;
    const name = inner.trim();
    if (Object.hasOwn(own, name)) return text(resolveValue(own[name], place.in(name), scope), place);
    const [first, attribute] = splitOnce(name, '.');
    return text(
      attribute === undefined ? scope.ref(first, place) : scope.attribute(first, attribute, place),
      place,
    );
  });
}

function splitOnce(value: string, separator: string): [string, string | undefined] {
  const at = value.indexOf(separator);
  return at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + separator.length)];
}

function list(argument: unknown, place: Place, scope: IntrinsicScope): unknown[] {
  if (!Array.isArray(argument)) throw place.error(`it takes a list, not ${JSON.stringify(argument)}.`);
  return argument.map((element: unknown, index) => resolveValue(element, place.in(index), scope));
}

/** A name that CloudFormation wants to stand in the template as it is. */
function plainText(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw place.error(`it takes a text, not ${JSON.stringify(value)}.`);
  return value;
}

function text(value: unknown, place: Place): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const shown = value === NO_VALUE ? 'AWS::NoValue' : JSON.stringify(value);
  throw place.error(`it takes a text here, not ${shown}.`);
}

function texts(values: unknown, place: Place): string[] {
  if (!Array.isArray(values)) throw place.error(`it joins a list, not ${JSON.stringify(values)}.`);
  return values.map((value) => text(value, place));
}
