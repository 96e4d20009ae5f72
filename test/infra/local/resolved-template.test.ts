import { describe, expect, it } from 'vitest';
import { resolveTemplate, type ResolveOptions } from '../../../infra/local/template/resolved-template.ts';
import type { Identify } from '../../../infra/local/template/resource-identity.ts';
import { readTemplate } from '../../../infra/local/template/template.ts';

const identify: Identify = ({ logicalId, properties }) => {
  const name = typeof properties['Name'] === 'string' ? properties['Name'] : `name-of-${logicalId}`;
  return { ref: name, attributes: { Arn: `arn:thing:${name}`, 'Endpoint.Port': '99' } };
};

const OPTIONS: ResolveOptions = {
  stackName: 'orders',
  region: 'us-east-1',
  account: '000000000000',
  identify: new Map([['Test::Thing', identify]]),
};

interface Parts {
  readonly [section: string]: unknown;
}

/** Resolves `value` as a property of a resource, beside the things `Other` and whatever else a test puts there. */
function resolveProperty(
  value: unknown,
  sections: Parts = {},
  options: Partial<ResolveOptions> = {},
): unknown {
  const { Resources: more, ...rest } = sections;
  const template = {
    ...rest,
    Resources: {
      Subject: { Type: 'Test::Thing', Properties: { Value: value } },
      Other: { Type: 'Test::Thing' },
      Role: { Type: 'AWS::IAM::Role' },
      ...(more as object | undefined),
    },
  };
  const { resources } = resolveTemplate(readTemplate(template), { ...OPTIONS, ...options });
  return resources.find(({ logicalId }) => logicalId === 'Subject')?.properties['Value'];
}

describe('plain values', () => {
  it('stay as they are', () => {
    const value = { text: 'a', number: 1, flag: false, nothing: null, list: [1, { deep: 'b' }], empty: {} };

    expect(resolveProperty(value)).toEqual(value);
  });

  it('stay as they are where an object only looks like a function', () => {
    expect(resolveProperty({ Ref: 'Other', More: 1 })).toEqual({ Ref: 'Other', More: 1 });
  });
});

describe('Ref', () => {
  it.each([
    ['AWS::Region', 'us-east-1'],
    ['AWS::AccountId', '000000000000'],
    ['AWS::Partition', 'aws'],
    ['AWS::URLSuffix', 'amazonaws.com'],
    ['AWS::StackName', 'orders'],
    ['AWS::StackId', 'arn:aws:cloudformation:us-east-1:000000000000:stack/orders/local'],
    ['AWS::NotificationARNs', []],
  ])('gives %s', (name, value) => {
    expect(resolveProperty({ Ref: name })).toEqual(value);
  });

  it('gives the physical name of a resource', () => {
    expect(resolveProperty({ Ref: 'Other' })).toBe('name-of-Other');
  });

  it('gives the name that follows from properties which refer to others in turn', () => {
    const Resources = {
      Middle: { Type: 'Test::Thing', Properties: { Name: { 'Fn::Sub': '${Last}-middle' } } },
      Last: { Type: 'Test::Thing' },
    };

    expect(resolveProperty({ Ref: 'Middle' }, { Resources })).toBe('name-of-Last-middle');
  });

  it('leaves a property out that is AWS::NoValue, and an element of a list', () => {
    const nothing = { Ref: 'AWS::NoValue' };

    expect(resolveProperty({ kept: 1, dropped: nothing, list: [nothing, 2, nothing] })).toEqual({
      kept: 1,
      list: [2],
    });
  });

  it('gives something for a resource that means nothing here', () => {
    expect(resolveProperty({ Ref: 'Role' })).toBe('orders-Role');
  });

  it('refuses a name that the template does not have', () => {
    expect(() => resolveProperty({ Ref: 'Missing' })).toThrow(
      'Resources.Subject.Properties.Value.Ref: "Missing" is neither a parameter, a pseudo parameter nor a resource',
    );
  });

  it('refuses names that every JavaScript object has', () => {
    expect(() => resolveProperty({ Ref: 'constructor' })).toThrow('"constructor" is neither');
  });

  it('refuses a resource whose condition is false', () => {
    const sections = {
      Conditions: { Never: { 'Fn::Equals': ['a', 'b'] } },
      Resources: { Absent: { Type: 'Test::Thing', Condition: 'Never' } },
    };

    expect(() => resolveProperty({ Ref: 'Absent' }, sections)).toThrow(
      'Absent does not exist: its condition Never is false',
    );
  });
});

describe('parameters', () => {
  const Parameters = {
    Plain: { Type: 'String', Default: 'default' },
    Count: { Type: 'Number', Default: 3 },
    List: { Type: 'CommaDelimitedList', Default: 'a, b,c' },
    Required: { Type: 'String' },
    Stage: { Type: 'String', Default: 'dev', AllowedValues: ['dev', 'prod'] },
    BootstrapVersion: {
      Type: 'AWS::SSM::Parameter::Value<String>',
      Default: '/cdk-bootstrap/hnb659fds/version',
    },
  };

  it('give their defaults, numbers as text', () => {
    expect(resolveProperty([{ Ref: 'Plain' }, { Ref: 'Count' }], { Parameters })).toEqual(['default', '3']);
  });

  it('give lists', () => {
    expect(resolveProperty({ Ref: 'List' }, { Parameters })).toEqual(['a', 'b', 'c']);
  });

  it('give the values that are handed in', () => {
    expect(resolveProperty({ Ref: 'Plain' }, { Parameters }, { parameters: { Plain: 'given' } })).toBe(
      'given',
    );
  });

  it('may lack a value as long as nothing asks for it', () => {
    expect(resolveProperty('x', { Parameters })).toBe('x');
  });

  it('are refused without a value', () => {
    expect(() => resolveProperty({ Ref: 'Required' }, { Parameters })).toThrow(
      'parameter Required has no default. Hand in a value for it.',
    );
  });

  it('are refused with a value that is not allowed', () => {
    expect(() =>
      resolveProperty({ Ref: 'Stage' }, { Parameters }, { parameters: { Stage: 'test' } }),
    ).toThrow('parameter Stage is "test"; allowed are dev, prod.');
  });

  it('are refused where SSM would have the value', () => {
    expect(() => resolveProperty({ Ref: 'BootstrapVersion' }, { Parameters })).toThrow(
      'is read from the SSM parameter "/cdk-bootstrap/hnb659fds/version", which is not here',
    );
  });
});

describe('Fn::GetAtt', () => {
  it.each([[['Other', 'Arn']], ['Other.Arn']])('takes the form %j', (argument) => {
    expect(resolveProperty({ 'Fn::GetAtt': argument })).toBe('arn:thing:name-of-Other');
  });

  it('takes attributes with a dot in their name', () => {
    expect(resolveProperty({ 'Fn::GetAtt': 'Other.Endpoint.Port' })).toBe('99');
  });

  it('takes an attribute name that is a Ref', () => {
    const Parameters = { Which: { Type: 'String', Default: 'Arn' } };

    expect(resolveProperty({ 'Fn::GetAtt': ['Other', { Ref: 'Which' }] }, { Parameters })).toBe(
      'arn:thing:name-of-Other',
    );
  });

  it('gives something of the right form for a resource that means nothing here', () => {
    expect(resolveProperty({ 'Fn::GetAtt': ['Role', 'Arn'] })).toBe(
      'arn:aws:iam::000000000000:role/orders-Role',
    );
    expect(resolveProperty({ 'Fn::GetAtt': ['Role', 'RoleId'] })).toBe('orders-Role.RoleId');
  });

  it('refuses an attribute that the resource does not have', () => {
    expect(() => resolveProperty({ 'Fn::GetAtt': ['Other', 'Colour'] })).toThrow(
      'Other (Test::Thing) has no attribute Colour here; it has Arn, Endpoint.Port.',
    );
  });

  it('refuses one half of a name', () => {
    expect(() => resolveProperty({ 'Fn::GetAtt': 'Other' })).toThrow('it takes a text here');
  });
});

describe('Fn::Sub', () => {
  it('fills in resources, attributes and pseudo parameters', () => {
    expect(resolveProperty({ 'Fn::Sub': '${AWS::Region}/${Other}/${Other.Arn}/${ Other }' })).toBe(
      'us-east-1/name-of-Other/arn:thing:name-of-Other/name-of-Other',
    );
  });

  it('prefers values of its own, which may be functions', () => {
    const own = { Other: 'mine', Joined: { 'Fn::Join': ['+', ['a', { Ref: 'Role' }]] } };

    expect(resolveProperty({ 'Fn::Sub': ['${Other} ${Joined} ${AWS::StackName}', own] })).toBe(
      'mine a+orders-Role orders',
    );
  });

  it('leaves literals and dollar signs', () => {
    expect(resolveProperty({ 'Fn::Sub': '${!Other} $5 $& $$' })).toBe('${Other} $5 $& $$');
  });

  it('puts values in as they are, also where they look like a placeholder', () => {
    expect(resolveProperty({ 'Fn::Sub': ['${a}', { a: '${Other} $&' }] })).toBe('${Other} $&');
  });

  it('refuses a list as a value', () => {
    expect(() => resolveProperty({ 'Fn::Sub': '${AWS::NotificationARNs}' })).toThrow(
      'it takes a text here, not [].',
    );
  });

  it('refuses a template that is not a text', () => {
    expect(() => resolveProperty({ 'Fn::Sub': { Ref: 'Other' } })).toThrow('it takes a text, not');
  });
});

describe('Fn::Join', () => {
  it('joins texts and numbers', () => {
    expect(resolveProperty({ 'Fn::Join': ['-', ['a', 1, { Ref: 'AWS::Region' }]] })).toBe('a-1-us-east-1');
  });

  it('leaves AWS::NoValue out', () => {
    expect(resolveProperty({ 'Fn::Join': ['-', ['a', { Ref: 'AWS::NoValue' }, 'b']] })).toBe('a-b');
  });

  it('joins what another function gives', () => {
    expect(resolveProperty({ 'Fn::Join': ['+', { 'Fn::Split': ['-', 'a-b-c'] }] })).toBe('a+b+c');
  });

  it('refuses what is no list', () => {
    expect(() => resolveProperty({ 'Fn::Join': ['-', 'abc'] })).toThrow('it joins a list, not "abc".');
  });
});

describe('Fn::Split and Fn::Select', () => {
  it('take a name out of an ARN', () => {
    const arn = { 'Fn::GetAtt': ['Other', 'Arn'] };

    expect(resolveProperty({ 'Fn::Select': [2, { 'Fn::Split': [':', arn] }] })).toBe('name-of-Other');
  });

  it('take the index as a text', () => {
    expect(resolveProperty({ 'Fn::Select': ['1', ['a', 'b']] })).toBe('b');
  });

  it.each([2, -1, 0.5, 'one', ''])('refuse the index %j of two elements', (index) => {
    expect(() => resolveProperty({ 'Fn::Select': [index, ['a', 'b']] })).toThrow(
      `index ${JSON.stringify(index)} is not one of the 2 elements, from 0.`,
    );
  });

  it('refuse an empty delimiter', () => {
    expect(() => resolveProperty({ 'Fn::Split': ['', 'abc'] })).toThrow('its delimiter is empty');
  });

  it('refuse to select from a text', () => {
    expect(() => resolveProperty({ 'Fn::Select': [0, 'abc'] })).toThrow(
      'it selects from "abc", which is no list',
    );
  });
});

describe('Fn::FindInMap', () => {
  const Mappings = { Sizes: { 'us-east-1': { small: 1, names: ['a', 'b'] } } };

  it('finds values by keys that are functions', () => {
    expect(
      resolveProperty({ 'Fn::FindInMap': ['Sizes', { Ref: 'AWS::Region' }, 'names'] }, { Mappings }),
    ).toEqual(['a', 'b']);
  });

  it('gives the default where the key is missing', () => {
    const argument = ['Sizes', 'mars', 'small', { DefaultValue: { Ref: 'Other' } }];

    expect(resolveProperty({ 'Fn::FindInMap': argument }, { Mappings })).toBe('name-of-Other');
  });

  it('refuses a key that is missing', () => {
    expect(() => resolveProperty({ 'Fn::FindInMap': ['Sizes', 'mars', 'small'] }, { Mappings })).toThrow(
      'Mappings.Sizes.mars.small is not in the template.',
    );
  });
});

describe('conditions', () => {
  const Parameters = { Stage: { Type: 'String', Default: 'prod' }, Count: { Type: 'Number', Default: 1 } };
  const isProd = { 'Fn::Equals': [{ Ref: 'Stage' }, 'prod'] };
  const Conditions = {
    IsProd: isProd,
    IsOne: { 'Fn::Equals': [{ Ref: 'Count' }, 1] },
    Not: { 'Fn::Not': [{ Condition: 'IsProd' }] },
    And: { 'Fn::And': [{ Condition: 'IsProd' }, { Condition: 'IsOne' }] },
    AndNot: { 'Fn::And': [{ Condition: 'IsProd' }, { Condition: 'Not' }] },
    Or: { 'Fn::Or': [{ Condition: 'Not' }, { Condition: 'IsOne' }] },
    OrNone: { 'Fn::Or': [{ Condition: 'Not' }, { Condition: 'AndNot' }] },
    Wrong: 'yes',
    Round: { 'Fn::Not': [{ Condition: 'Trip' }] },
    Trip: { 'Fn::Not': [{ Condition: 'Round' }] },
    Alone: { 'Fn::And': [{ Condition: 'IsProd' }] },
  };
  const resolveIf = (name: string) =>
    resolveProperty({ 'Fn::If': [name, 'then', { Ref: 'AWS::Region' }] }, { Parameters, Conditions });

  it.each([
    ['IsProd', 'then'],
    ['IsOne', 'then'],
    ['Not', 'us-east-1'],
    ['And', 'then'],
    ['AndNot', 'us-east-1'],
    ['Or', 'then'],
    ['OrNone', 'us-east-1'],
  ])('%s chooses %s', (name, value) => {
    expect(resolveIf(name)).toBe(value);
  });

  it('follow the parameters that are handed in', () => {
    const value = { 'Fn::If': ['IsProd', 'then', 'else'] };

    expect(resolveProperty(value, { Parameters, Conditions }, { parameters: { Stage: 'dev' } })).toBe('else');
  });

  it('do not look at the branch that is not taken', () => {
    const value = { 'Fn::If': ['IsProd', 'then', { Ref: 'Missing' }] };

    expect(resolveProperty(value, { Parameters, Conditions })).toBe('then');
  });

  it('take a property away with AWS::NoValue', () => {
    const value = { kept: 1, maybe: { 'Fn::If': ['Not', 2, { Ref: 'AWS::NoValue' }] } };

    expect(resolveProperty(value, { Parameters, Conditions })).toEqual({ kept: 1 });
  });

  it('take resources and outputs away', () => {
    const template = readTemplate({
      Parameters,
      Conditions,
      Resources: {
        There: { Type: 'Test::Thing', Condition: 'IsProd' },
        Gone: { Type: 'Test::Thing', Condition: 'Not', Properties: { Value: { Ref: 'Missing' } } },
      },
      Outputs: {
        Shown: { Value: 1, Condition: 'IsProd' },
        Hidden: { Value: { Ref: 'Gone' }, Condition: 'Not' },
      },
    });

    const { resources, outputs } = resolveTemplate(template, OPTIONS);

    expect(resources.map(({ logicalId }) => logicalId)).toEqual(['There']);
    expect(outputs).toEqual({ Shown: 1 });
  });

  it.each([
    ['Wrong', 'a condition is made of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition, not "yes".'],
    ['Missing', 'condition "Missing" is not among the template\'s Conditions.'],
    ['Round', 'circular reference: Conditions.Round -> Conditions.Trip -> Conditions.Round'],
    ['Alone', 'it takes a list of 2 to 10 conditions.'],
  ])('%s is refused', (name, message) => {
    expect(() => resolveIf(name)).toThrow(message);
  });

  it('are refused with other than two values to compare', () => {
    expect(() => resolveProperty({ 'Fn::Equals': ['a'] })).toThrow('it compares 2 values, not 1.');
  });

  it('are refused without both branches', () => {
    expect(() => resolveProperty({ 'Fn::If': ['IsProd', 1] }, { Parameters, Conditions })).toThrow(
      'it takes [condition name, value if true, value if false].',
    );
  });
});

describe('other functions', () => {
  it('encode as Base64', () => {
    expect(resolveProperty({ 'Fn::Base64': { 'Fn::Sub': '${Other}é' } })).toBe(
      Buffer.from('name-of-Otheré').toString('base64'),
    );
  });

  it('import what another stack exports, also under a name that is put together', () => {
    const imports = new Map([['other-stack:stream', 'arn:stream']]);
    const name = { 'Fn::Join': [':', ['other-stack', 'stream']] };

    expect(resolveProperty({ 'Fn::ImportValue': name }, {}, { imports })).toBe('arn:stream');
  });

  it('are refused where they import what no stack exports', () => {
    const imports = new Map([['other-stack:stream', 'arn:stream']]);

    expect(() => resolveProperty({ 'Fn::ImportValue': 'other-stack:table' }, {}, { imports })).toThrow(
      'Resources.Subject.Properties.Value.Fn::ImportValue: it imports "other-stack:table", which no stack exports ' +
        'that stands before this one; exported are other-stack:stream.',
    );
  });

  it('give exports under their names, resolved', () => {
    const template = {
      Resources: { Thing: { Type: 'Test::Thing' } },
      Outputs: {
        Exported: {
          Value: { 'Fn::GetAtt': ['Thing', 'Arn'] },
          Export: { Name: { 'Fn::Sub': '${AWS::StackName}:thing' } },
        },
        Kept: { Value: 'x' },
      },
    };

    expect(resolveTemplate(readTemplate(template), OPTIONS).exports).toEqual(
      new Map([['orders:thing', 'arn:thing:name-of-Thing']]),
    );
  });

  it('are refused where they are not known', () => {
    expect(() => resolveProperty({ 'Fn::GetAZs': '' })).toThrow(
      'Resources.Subject.Properties.Value: Fn::GetAZs is not known to the local cloud. Known are Ref, Fn::GetAtt,',
    );
  });

  it('are refused as dynamic references', () => {
    expect(() => resolveProperty('{{resolve:ssm:/name}}')).toThrow('is a dynamic reference');
  });
});

describe('references between resources', () => {
  it('resolve in whatever order the resources stand', () => {
    const first = { A: { Type: 'Test::Thing', Properties: { Name: { 'Fn::Sub': 'a-${B}' } } } };
    const second = { B: { Type: 'Test::Thing', Properties: { Name: { 'Fn::Sub': 'b-${C.Arn}' } } } };
    const third = { C: { Type: 'Test::Thing' } };
    const names = (Resources: object) =>
      Object.fromEntries(
        resolveTemplate(readTemplate({ Resources }), OPTIONS).resources.map(({ logicalId, ref }) => [
          logicalId,
          ref,
        ]),
      );

    const forwards = names({ ...first, ...second, ...third });
    const backwards = names({ ...third, ...second, ...first });

    expect(forwards).toEqual({
      A: 'a-b-arn:thing:name-of-C',
      B: 'b-arn:thing:name-of-C',
      C: 'name-of-C',
    });
    expect(backwards).toEqual(forwards);
  });

  it('are refused in a circle, with the way round it', () => {
    const Resources = {
      A: { Type: 'Test::Thing', Properties: { Value: { Ref: 'B' } } },
      B: { Type: 'Test::Thing', Properties: { Value: { 'Fn::Sub': '${C.Arn}' } } },
      C: { Type: 'Test::Thing', Properties: { Value: ['x', { Ref: 'A' }] } },
    };

    expect(() => resolveTemplate(readTemplate({ Resources }), OPTIONS)).toThrow(
      'Resources.C.Properties.Value.1.Ref: circular reference: Resources.A -> Resources.B -> Resources.C -> Resources.A.',
    );
  });

  it('are refused from a resource to itself', () => {
    expect(() => resolveProperty({ Ref: 'Subject' })).toThrow('Resources.Subject -> Resources.Subject');
  });
});

describe('resource types', () => {
  it('without a meaning here are counted, with the reason', () => {
    const Resources = {
      A: { Type: 'AWS::IAM::Role', Properties: { Value: { 'Fn::GetAZs': '' } } },
      B: { Type: 'AWS::IAM::Role' },
      C: { Type: 'AWS::CDK::Metadata' },
    };

    const { resources, ignored, notices } = resolveTemplate(readTemplate({ Resources }), OPTIONS);

    expect(resources).toEqual([]);
    expect(notices).toEqual([]);
    expect(ignored).toEqual([
      { type: 'AWS::CDK::Metadata', count: 1, reason: 'it tells AWS which constructs are in use' },
      { type: 'AWS::IAM::Role', count: 2, reason: 'the engines check no permissions' },
    ]);
  });

  it('that are unknown are named once each, with their count', () => {
    const Resources = {
      A: { Type: 'AWS::SNS::Topic' },
      B: { Type: 'AWS::SNS::Topic' },
      C: { Type: 'AWS::Glue::Job' },
    };

    expect(resolveTemplate(readTemplate({ Resources }), OPTIONS).notices).toEqual([
      'AWS::Glue::Job (1 in orders) does nothing on this machine: the local cloud does not know it.',
      'AWS::SNS::Topic (2 in orders) does nothing on this machine: the local cloud does not know it.',
    ]);
  });
});

describe('a template', () => {
  it('keeps its metadata and resolves its outputs', () => {
    const template = readTemplate({
      Rules: { CheckBootstrapVersion: { Assertions: [{ Assert: { 'Fn::Not': [] } }] } },
      Resources: { A: { Type: 'Test::Thing', Metadata: { 'aws:asset:path': 'asset.1' } } },
      Outputs: { Name: { Value: { Ref: 'A' }, Export: { Name: 'exported' } } },
    });

    const { resources, outputs } = resolveTemplate(template, OPTIONS);

    expect(resources[0]?.metadata).toEqual({ 'aws:asset:path': 'asset.1' });
    expect(outputs).toEqual({ Name: 'name-of-A' });
  });

  it.each([undefined, null, [], {}, { Resources: [] }])('is not %j', (value) => {
    expect(() => readTemplate(value)).toThrow('This is no CloudFormation template');
  });

  it('has a type for every resource', () => {
    expect(() => readTemplate({ Resources: { A: { Properties: {} } } })).toThrow('Resources.A has no Type');
  });
});
