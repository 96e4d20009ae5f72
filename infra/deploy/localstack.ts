import type * as testcontainers from 'testcontainers';
import { LOCAL_REGION } from '../local/engines/local-account.ts';

/** The last image that runs without an account's token. */
const IMAGE = 'localstack/localstack:4.14.0';
const PORT = 4566;
const HEALTH = '/_localstack/health';
const DOCKER_SOCKET = '/var/run/docker.sock';
/** The image is pulled before; the services start when they are first asked. */
const START_LIMIT_MS = 180_000;
/** Functions run in containers that LocalStack removes when it is stopped. */
const STOP_LIMIT_MS = 30_000;

/** A LocalStack that answers. */
export interface LocalStack {
  /** `http://127.0.0.1:4566`, without a slash at the end. */
  readonly endpoint: string;
  /** Ends it, where it was started here. */
  stop(): Promise<void>;
}

/** There is no LocalStack and nothing to start one with; the message says what to do. */
export class NoLocalStackError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;
type Testcontainers = Pick<typeof testcontainers, 'GenericContainer' | 'getContainerRuntimeClient' | 'Wait'>;

/**
 * The LocalStack at LOCALSTACK_ENDPOINT, or a new one in a container: of LOCALSTACK_IMAGE where that is given, with
 * LOCALSTACK_AUTH_TOKEN, and with the Docker socket, through which it runs functions.
 * @throws NoLocalStackError where there is neither.
 */
export async function openLocalStack(
  environment: Environment,
  say: (text: string) => void,
  // Loaded when it is needed: only who has Docker needs it.
  loadTestcontainers: () => Promise<Testcontainers> = () => import('testcontainers'),
): Promise<LocalStack> {
  const given = environment['LOCALSTACK_ENDPOINT'];
  if (given !== undefined && given !== '') return givenLocalStack(given);
  const container = await startContainer(environment, say, await loadTestcontainers());
  return {
    // Not localhost: by an address, S3 has the bucket in the path, and no name needs to be resolved.
    endpoint: `http://127.0.0.1:${container.getMappedPort(PORT)}`,
    stop: async () => void (await container.stop({ timeout: STOP_LIMIT_MS })),
  };
}

async function givenLocalStack(given: string): Promise<LocalStack> {
  const endpoint = given.replace(/\/+$/, '').replace('//localhost', '//127.0.0.1');
  try {
    const answer = await fetch(`${endpoint}${HEALTH}`);
    if (!answer.ok) throw new Error(`${HEALTH} answers ${answer.status}`);
  } catch (error) {
    throw new NoLocalStackError(
      `LOCALSTACK_ENDPOINT is ${JSON.stringify(given)}, and no LocalStack answers there ` +
        `(${error instanceof Error ? error.message : String(error)}). Start it, or say where one is; npm run ` +
        'test:localstack starts one in Docker where the variable is not set.',
      { cause: error },
    );
  }
  return { endpoint, stop: async () => undefined };
}

async function startContainer(
  environment: Environment,
  say: (text: string) => void,
  { GenericContainer, getContainerRuntimeClient, Wait }: Testcontainers,
): Promise<testcontainers.StartedTestContainer> {
  try {
    await getContainerRuntimeClient();
  } catch (error) {
    throw new NoLocalStackError(
      'There is no Docker engine: nothing answers at DOCKER_HOST or the usual sockets. Install Docker ' +
        '(https://docs.docker.com/engine/install), start it, and run this again; or set LOCALSTACK_ENDPOINT to a ' +
        'LocalStack that runs already (with LOCALSTACK_LAMBDA=local where it has no Docker either).',
      { cause: error },
    );
  }
  const image = environment['LOCALSTACK_IMAGE'] ?? IMAGE;
  const token = environment['LOCALSTACK_AUTH_TOKEN'];
  say(`Starting ${image} …`);
  return new GenericContainer(image)
    .withExposedPorts(PORT)
    .withBindMounts([{ source: DOCKER_SOCKET, target: DOCKER_SOCKET }])
    .withEnvironment({
      ...(token !== undefined && { LOCALSTACK_AUTH_TOKEN: token }),
      // A function's first invocation may have to wait for its image.
      LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT: '120',
    })
    .withWaitStrategy(Wait.forHttp(HEALTH, PORT))
    .withStartupTimeout(START_LIMIT_MS)
    .start();
}

/** The variables by which AWS's command lines and clients talk to LocalStack. It takes any keys; these are its own. */
export function localStackVariables(endpoint: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: LOCAL_REGION,
    AWS_DEFAULT_REGION: LOCAL_REGION,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
}
