// Runs the two C programs that measure, launch and pipeline, and reads what they report.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, openSync, readFileSync} from 'node:fs';
import {basename, join} from 'node:path';

const longestMs = 300_000;
let running;

/** It had not ended when it should have. */
export class Stalled extends Error {}

/** Ends what runs at the moment, with everything it started. */
export function stopInstrument() {
	if (running === undefined) return;
	try {
		// The instrument leads a process group, which all it starts belong to.
		process.kill(-running.pid, 'SIGKILL');
	} catch {
		// It has ended meanwhile.
	}
}

/** Answers {elapsedMs, stages: [{status, peakKib, …}]}. Throws when anything did not go as it should. */
export async function runInstrument({folder, environment}, {words, statuses, prints, timeoutMs = longestMs}) {
	const [program, ...rest] = words;
	const files = ['stdout', 'stderr', 'report'].map((name) => join(folder, name));
	// Files, not pipes: nothing wakes this process while it measures.
	const descriptors = files.map((path) => openSync(path, 'w'));
	try {
		running = spawn(program, rest, {env: environment, detached: true, stdio: ['ignore', ...descriptors]});
		let isLate = false;
		const deadline = setTimeout(() => {
			isLate = true;
			stopInstrument();
		}, timeoutMs).unref();
		const [status, signal] = await once(running, 'close');
		clearTimeout(deadline);
		// Where it failed, what it had started may still wait for data.
		if (status !== 0) stopInstrument();
		const [stdout, stderr, report] = files.map((path) => readFileSync(path, 'utf8').trim().replaceAll('\n', '; '));
		const shown = [basename(program), ...rest].join(' ');
		if (isLate) throw new Stalled(`not at its end after ${timeoutMs / 1000} s: '${shown}'`);
		if (status !== 0) throw new Error(`'${shown}' ended with ${signal ?? status}: ${stderr}`);
		const {elapsedNs, stages} = JSON.parse(report);
		const bad = stages.find((stage) => !statuses.includes(stage.status));
		if (bad) throw new Error(`a stage of '${shown}' ended with status ${bad.status}: ${stderr}`);
		if (prints !== undefined && stdout !== String(prints))
			throw new Error(`'${shown}' printed '${stdout}', not '${prints}'`);
		return {elapsedMs: elapsedNs / 1e6, stages};
	} finally {
		running = undefined;
		for (const descriptor of descriptors) closeSync(descriptor);
	}
}
