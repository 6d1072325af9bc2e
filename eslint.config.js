// TypeScript by typescript-eslint's strict rules with type information; plain JavaScript (scripts, tests) by ESLint's own.
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const common = {
  eqeqeq: 'error',
  'no-console': 'off',
  'no-var': 'error',
  'prefer-const': 'error',
  'object-shorthand': 'error',
};

export default defineConfig(
  globalIgnores(['build/', 'web/dist/', 'web/public/', 'node_modules/']),
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...common,
      // Numbers in messages are what messages are for.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // An event handler may start something asynchronous.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // noUncheckedIndexedAccess asks for `list[i]!` where the index is known to be good.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Does not know that another task may change a value during an `await`.
      '@typescript-eslint/no-unnecessary-condition': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.base],
    rules: {
      ...common,
      'no-undef': 'off',
      'no-unused-vars': 'error',
      'no-unreachable': 'error',
      'no-dupe-keys': 'error',
      'no-fallthrough': 'error',
    },
  },
);
