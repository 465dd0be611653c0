import {hasCode, UsageError} from '../common/errors.js';
import {endedWith, type Outcome} from '../common/exit.js';
import {allSignals, parseSignal, rtmin} from '../common/formats/signal-name.js';
import type {TextFormat} from '../common/formats/text-format.js';
import {tellError} from '../common/output.js';
import {startChild, takeChanges} from '../common/process/children.js';
import {SIGKILL, SIGSTOP} from '../common/process/signals.js';
import {verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {Signals} from '../objects/signals/signals.js';
import {Forwarder} from './forwarder.js';
import {JobControl} from './job-control.js';

/** `TERM=INT`; `HUP=none` forwards nothing. */
const translation: TextFormat<readonly [number, number]> = {
	placeholder: 'FROM=TO',
	parse(text) {
		const [from, to, ...rest] = text.split('=');
		if (from === undefined || to === undefined || rest.length > 0)
			throw new UsageError(`'${text}' is not a signal mapping: write FROM=TO, such as TERM=INT`);
		const number = parseSignal(from);
		if (number === 0) throw new UsageError(`'${text}' is not a signal mapping: 0 is not a signal`);
		if (number === SIGKILL || number === SIGSTOP)
			throw new UsageError(`'${text}' is not possible: no process can catch ${from}`);
		if (to.toLowerCase() === 'none') return [number, 0];
		const translated = parseSignal(to);
		if (translated === 0) throw new UsageError(`'${text}' sends nothing: to drop ${from} write ${from}=none`);
		if (translated > 31 && translated < rtmin())
			throw new UsageError(`'${text}' is not possible: the C library reserves ${to}`);
		return [number, translated];
	},
};

export const run = verb({
	summary: 'Run a command, forward all signals to it and reap orphans; suitable as PID 1',
	options: {
		map: {value: translation, many: true, help: 'forward signal FROM as signal TO; TO none drops FROM'},
		group: {help: 'run CMD in its own process group and signal the whole group'},
	},
	takesCommand: true,
	examples: [
		{purpose: 'stop nginx gracefully with QUIT in a container', line: 'ipc-signal run --map TERM=QUIT -- nginx'},
		{purpose: 'forward signals to a shell script and its children', line: 'ipc-signal run --group -- ./work.sh'},
	],
	run(_, options, words): Outcome {
		const all = allSignals()
			.map(({number}) => number)
			.filter((number) => number !== SIGKILL && number !== SIGSTOP);
		// Before the command is started: signals that arrive from now on are forwarded once it runs.
		Signals.block(all);
		using signals = Signals.ofBlocked(all);
		if (process.pid !== 1) adoptOrphans();
		using jobs = new JobControl(options.group);
		const child = startChild(words, process.env, {ownGroup: options.group, terminal: jobs.terminal});
		if (typeof child === 'object') {
			tellError(child.problem);
			return endedWith(child.status);
		}
		jobs.started(child);
		using forwarder = new Forwarder(child, {toGroup: options.group, translations: new Map(options.map)});
		for (;;) {
			for (const change of takeChanges()) {
				if (change.pid !== child) continue;
				if (change.status !== undefined) return endedWith(change.status);
				if (change.stoppedBy === undefined) continue;
				for (const signal of jobs.stopped(change.stoppedBy, () => signals.takeRaw())) forwarder.pass(signal);
			}
			signals.waitForAny();
			for (const signal of signals.takeRaw()) forwarder.pass(signal);
		}
	},
});

/** Where that cannot be had (qemu-user), orphans are left to init. prctl(2) */
function adoptOrphans(): void {
	try {
		native.setChildSubreaper();
	} catch (error) {
		if (!hasCode(error, 'EINVAL', 'ENOSYS')) throw error;
	}
}
