#!/usr/bin/env node
import { runCommandLine } from './command-line.ts';
import { endWithReader } from './reader.ts';

endWithReader();
process.exitCode = await runCommandLine(process.argv.slice(2));
