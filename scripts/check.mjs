// The quick loop: formatting and lint, types (everything, then the pure folders without Node), unit tests.
import { bin, install, run } from './prepare.mjs';

install();
run(process.execPath, [bin('biome'), 'check', '--error-on-warnings', '.']);
run(process.execPath, [bin('tsc'), '-p', 'tsconfig.json', '--noEmit']);
run(process.execPath, [bin('tsc'), '-p', 'tsconfig.pure.json']);
run(process.execPath, [bin('vitest'), 'run', 'test/unit', ...process.argv.slice(2)]);
