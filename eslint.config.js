import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const noWallClock = [
  'error',
  { object: 'Date', property: 'now', message: 'Take a Clock (shared/time/clock.ts) as an argument.' },
  { object: 'Math', property: 'random', message: 'Take a random source as an argument.' },
];

export default tseslint.config(
  { ignores: ['node_modules', 'cdk.out', '.tidemark', 'eslint.config.js', '**/*.mjs'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      eqeqeq: 'error',
    },
  },
  {
    // The engine knows neither CDK nor the local cloud, and takes its clock and its chance as arguments.
    files: ['shared/**/*.ts'],
    ignores: ['shared/time/clock.ts'],
    rules: {
      'no-restricted-properties': noWallClock,
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/infra/**', '**/functions/**', 'aws-cdk-lib', 'aws-cdk-lib/*'],
              message: 'shared/ imports neither infra/ nor functions/ nor CDK.',
            },
          ],
        },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'Take a Clock (shared/time/clock.ts) as an argument.',
        },
      ],
    },
  },
);
