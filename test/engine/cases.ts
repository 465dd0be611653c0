import {readFileSync} from 'node:fs';
import {native} from '../../src/native/index.js';
import {type Call, performAll} from './calls.js';

/** The module of the tests' own executable: calls on stdin, their results on stdout. See test/run.mjs. */
const calls = JSON.parse(readFileSync(0, 'utf8')) as Call[];
const bytes = Buffer.from(JSON.stringify(performAll(calls)));
for (let at = 0; at < bytes.length; ) at += native.write(1, bytes, at, bytes.length - at);
