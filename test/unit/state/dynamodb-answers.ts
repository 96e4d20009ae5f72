import { Readable } from 'node:stream';

/** Stands for the network under a real client: gives these answers in turn, and notes which operation was asked. */
export class DynamoDbAnswers {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  readonly #answers: readonly { readonly status: number; readonly body: unknown }[];
  readonly #targets: (string | undefined)[];

  constructor(answers: readonly { status: number; body: unknown }[], targets: (string | undefined)[]) {
    this.#answers = answers;
    this.#targets = targets;
  }

  async handle(request: { readonly headers: Record<string, string> }) {
    const answer = this.#answers[this.#targets.length];
    this.#targets.push(request.headers['x-amz-target']?.split('.')[1]);
    if (answer === undefined) throw new Error('This request was not foreseen.');
    return {
      response: {
        statusCode: answer.status,
        headers: { 'content-type': 'application/x-amz-json-1.0' },
        body: Readable.from([Buffer.from(JSON.stringify(answer.body))]),
      },
    };
  }

  destroy(): void {
    return undefined;
  }
}
