// Everything a change must pass: install, build, types, and every test under test/.
import { bin, build, install, run } from './prepare.mjs';

install();
build();
run(process.execPath, [bin('tsc'), '-p', 'tsconfig.json', '--noEmit']);
run(process.execPath, [bin('tsc'), '-p', 'tsconfig.pure.json']);
run(process.execPath, [bin('vitest'), 'run', ...process.argv.slice(2)]);
