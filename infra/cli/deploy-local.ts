import { Command } from 'commander';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { synthesize } from '../app.ts';
import { nameOf } from '../chain.ts';
import { bootstrap, deploy, type CdkCommandOptions } from '../deploy/cdk-command.ts';
import { localStackVariables, NoLocalStackError, openLocalStack } from '../deploy/localstack.ts';
import { LOCAL_ACCOUNT, LOCAL_REGION } from '../local/engines/local-account.ts';
import { PIPELINES } from '../pipelines.ts';
import { parseCommand } from './parse-command.ts';
import { UsageError } from './usage-error.ts';

const EXIT = { fine: 0, failed: 1, badUsage: 2, noCloud: 3 } as const;
const USUAL_ENDPOINT = 'http://127.0.0.1:4566';

/** `npm run deploy:local`: see the README. @returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const assemblyDirectory = mkdtempSync(path.join(os.tmpdir(), 'tidemark-deploy-'));
  try {
    const command = new Command('npm run deploy:local --')
      .description('Deploys pipelines to a LocalStack that runs: through CloudFormation, with their assets.')
      .argument('[pipelines...]', 'those to deploy, with the ones that feed them; all unless given')
      .addHelpText(
        'after',
        `\nLOCALSTACK_ENDPOINT says where it is; ${USUAL_ENDPOINT} unless set.` +
          '\nExit codes: 0 deployed, 1 failed, 2 bad usage, 3 no LocalStack answers.',
      );
    if (!parseCommand(command, argv)) return EXIT.fine;
    const pipelines = command.args.length > 0 ? command.args : PIPELINES.map(nameOf);
    const { endpoint } = await openLocalStack(
      { LOCALSTACK_ENDPOINT: process.env['LOCALSTACK_ENDPOINT'] ?? USUAL_ENDPOINT },
      say,
    );
    synthesize({ pipelines, outdir: assemblyDirectory });
    const environment = localStackVariables(endpoint);
    const cdk: CdkCommandOptions = { assemblyDirectory, environment, onLine: say };
    await bootstrap(`aws://${LOCAL_ACCOUNT}/${LOCAL_REGION}`, cdk);
    await deploy(cdk);
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    say(`\nThe operator's command finds them with\n${variables.join(' ')} npm run tidemark -- status`);
    return EXIT.fine;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    if (error instanceof UsageError) return EXIT.badUsage;
    return error instanceof NoLocalStackError ? EXIT.noCloud : EXIT.failed;
  } finally {
    rmSync(assemblyDirectory, { recursive: true, force: true });
  }
}

process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
process.exitCode = await main(process.argv.slice(2));
