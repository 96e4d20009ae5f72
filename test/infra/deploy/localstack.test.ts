import * as testcontainers from 'testcontainers';
import { describe, expect, it } from 'vitest';
import { NoLocalStackError, openLocalStack } from '../../../infra/deploy/localstack.ts';

/** What a container was told, up to its start, which fails. */
class RefusedContainer extends testcontainers.GenericContainer {
  static readonly told: { image: string; environment: object; binds: readonly string[] }[] = [];

  override start(): Promise<testcontainers.StartedTestContainer> {
    RefusedContainer.told.push({
      image: this.imageName.string,
      environment: this.environment,
      binds: (this.hostConfig.Binds ?? []).map(String),
    });
    return Promise.reject(new Error('refused'));
  }
}

const withEngine = () =>
  Promise.resolve({
    ...testcontainers,
    GenericContainer: RefusedContainer,
    getContainerRuntimeClient: () =>
      Promise.resolve({} as Awaited<ReturnType<typeof testcontainers.getContainerRuntimeClient>>),
  });
const withoutEngine = () =>
  Promise.resolve({
    ...testcontainers,
    getContainerRuntimeClient: () => Promise.reject(new Error('no runtime strategy')),
  });

describe('LocalStack', () => {
  it('is missing where there is no Docker engine, and it says how to get one', async () => {
    const opening = openLocalStack({}, () => undefined, withoutEngine);
    await expect(opening).rejects.toThrow(NoLocalStackError);
    await expect(opening).rejects.toThrow(/Install Docker.*or set LOCALSTACK_ENDPOINT/);
  });

  it('is a pinned image with the Docker socket, through which it runs functions', async () => {
    await expect(openLocalStack({}, () => undefined, withEngine)).rejects.toThrow('refused');
    expect(RefusedContainer.told.at(-1)).toMatchObject({
      image: 'localstack/localstack:4.14.0',
      binds: [expect.stringMatching(/^\/var\/run\/docker\.sock:\/var\/run\/docker\.sock/)],
    });
    expect(RefusedContainer.told.at(-1)?.environment).not.toHaveProperty('LOCALSTACK_AUTH_TOKEN');
  });

  it('is another image, with a token, where the environment says so', async () => {
    const environment = { LOCALSTACK_IMAGE: 'localstack/localstack:stable', LOCALSTACK_AUTH_TOKEN: 'token' };
    await expect(openLocalStack(environment, () => undefined, withEngine)).rejects.toThrow('refused');
    expect(RefusedContainer.told.at(-1)).toMatchObject({
      image: 'localstack/localstack:stable',
      environment: { LOCALSTACK_AUTH_TOKEN: 'token' },
    });
  });
});
