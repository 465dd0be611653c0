// Where the benchmark works: a temporary folder with the compiled programs, and the environment all contenders share.
import {spawnSync} from 'node:child_process';
import {
	accessSync,
	constants,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	rmSync,
	statfsSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {runInstrument} from './instrument.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const flags = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra'];
const sharedMemory = '/dev/shm';
/** Where mqueue and semaphores are not a part of libc yet. */
const libraries = ['-lrt', '-lpthread'];

export class Workshop {
	/** The FIFO all rows share: by this name for our commands, by this path for other programs. */
	fifo = 'bench';
	/** The object of the run that is going on, a queue or a semaphore, and the command it belongs to. */
	object;
	objects = 0;
	/** The path of the segment, likewise. */
	segment;

	constructor({quick}) {
		this.quick = quick;
		this.folder = mkdtempSync(join(tmpdir(), 'ipc-bench-'));
		// Whatever happens: an exception, process.exit, or a signal that run.mjs turns into an exit.
		process.on('exit', () => this.close());
		const runtime = join(this.folder, 'runtime');
		mkdirSync(runtime, {mode: 0o700});
		mkdirSync(join(this.folder, 'home'));
		this.fifoPath = join(runtime, this.fifo);
		// bin/ipc-* look for `node`: let them find the one that runs the empty script as well.
		const ownNode = join(this.folder, 'bin');
		mkdirSync(ownNode);
		symlinkSync(process.execPath, join(ownNode, 'node'));
		this.environment = {
			PATH: [ownNode, process.env.PATH].join(delimiter),
			// GNU sem keeps its state there.
			HOME: join(this.folder, 'home'),
			TMPDIR: this.folder,
			LC_ALL: 'C',
			IPC_RUNTIME_DIR: runtime,
			// And nothing else: with NODE_EXTRA_CA_CERTS set, every start of Node reads certificates for longer than all
			// the rest of the start takes; NODE_OPTIONS could be anything.
		};
		this.emptyScript = this.write('empty.cjs', '');
		for (const kind of ['instruments', 'peers']) this.compileAll(join(here, kind));
		if (!existsSync(join(root, 'dist', 'ipc-pipe.js'))) throw new Error('dist/ is missing; run: npm run build');
		this.run(this.command('ipc-pipe'), ['create', this.fifo]);
	}

	close() {
		this.removeObject();
		this.removeSegment();
		rmSync(this.folder, {recursive: true, force: true});
	}

	/** One of our commands, as a user calls it. */
	command(name) {
		return join(root, 'bin', name);
	}

	/** Measures our commands on Node instead. */
	async onNode(measure) {
		this.environment.IPC_RUNTIME = 'node';
		try {
			return await measure(this);
		} finally {
			delete this.environment.IPC_RUNTIME;
		}
	}

	/** One of the C programs beside this file. */
	program(name) {
		return join(this.folder, name);
	}

	/** Where an installed program lies; undefined when it is not installed. */
	find(name) {
		return this.environment.PATH.split(delimiter)
			.map((folder) => join(folder, name))
			.find((path) => {
				try {
					accessSync(path, constants.X_OK);
					return true;
				} catch {
					return false;
				}
			});
	}

	/** Gives a message queue of its own, empty, ten messages large, and takes it away afterwards. */
	withQueue(use) {
		return this.withObject('ipc-mq', ['--maxmsg', '10', '--msgsize', '8192'], use);
	}

	/** Gives a semaphore of its own, with one unit, and takes it away afterwards. */
	withSemaphore(use) {
		return this.withObject('ipc-sem', ['--value', '1'], use);
	}

	/** A name for a segment, and its path; whatever has that name afterwards is taken away. */
	async withSegment(use) {
		const name = `ipc-bench-${process.pid}-${++this.objects}`;
		this.segment = join(sharedMemory, name);
		try {
			return await use(name, this.segment);
		} finally {
			this.removeSegment();
		}
	}

	removeSegment() {
		if (this.segment !== undefined) rmSync(this.segment, {force: true});
		this.segment = undefined;
	}

	/** Bytes that /dev/shm has left. */
	freeSharedMemory() {
		const {bavail, bsize} = statfsSync(sharedMemory);
		return bavail * bsize;
	}

	sizeOf(path) {
		return statSync(path).size;
	}

	async withObject(command, settings, use) {
		const name = `ipc-bench-${process.pid}-${++this.objects}`;
		this.object = {command, name};
		this.run(this.command(command), ['create', name, '--exclusive', ...settings]);
		try {
			return await use(name);
		} finally {
			this.removeObject();
		}
	}

	/** All programs of the system share its name: it must not stay, whatever happened. */
	removeObject() {
		if (this.object === undefined) return;
		const {command, name} = this.object;
		this.object = undefined;
		this.run(this.command(command), ['remove', name]);
	}

	/** Makes a file for contenders to read. */
	write(name, text) {
		const path = join(this.folder, name);
		writeFileSync(path, text);
		return path;
	}

	/** A size in bytes, a quarter of it when in a hurry. */
	gibibytes(count) {
		return (this.quick ? count / 4 : count) * 1024 ** 3;
	}

	/** Runs one program. `statuses`: how it may end. */
	launch(words, {statuses = [0]} = {}) {
		return runInstrument(this, {words: [this.program('launch'), ...words], statuses});
	}

	/**
	 * Runs a pipeline: the words of the stages with a link between each two, `|` (a pipe), `>` (the shared FIFO) or `@`
	 * (they know one another). `prints` is what the last stage has to say: a fast run that lost something is none.
	 */
	pipeline(words, {prints, timeoutMs} = {}) {
		const all = [this.program('pipeline'), this.fifoPath, ...words.map(String)];
		return runInstrument(this, {words: all, statuses: [0], prints, timeoutMs});
	}

	compileAll(folder) {
		const compiler = process.env.CC || 'cc';
		for (const name of readdirSync(folder).filter((entry) => entry.endsWith('.c')))
			this.run(compiler, [...flags, '-o', this.program(basename(name, '.c')), join(folder, name), ...libraries]);
	}

	run(program, words) {
		const {error, status} = spawnSync(program, words, {
			env: this.environment,
			stdio: ['ignore', 'ignore', 'inherit'],
		});
		if (error) throw new Error(`cannot run ${basename(program)}: ${error.code}`);
		if (status !== 0) throw new Error(`${[basename(program), ...words].join(' ')} ended with status ${status}`);
	}
}
