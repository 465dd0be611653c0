interface Watched {
	callbacks: Set<() => void>;
	listener(): void;
}

const watched = new WeakMap<AbortSignal, Watched>();

/**
 * Calls back once the signal is aborted; returns what ends that. A signal has one listener for all: Node warns of a leak
 * where it has more than ten, and a server has one signal for all its waits.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
	const found = watched.get(signal) ?? begin(signal);
	found.callbacks.add(callback);
	return () => {
		found.callbacks.delete(callback);
		if (found.callbacks.size > 0 || watched.get(signal) !== found) return;
		watched.delete(signal);
		signal.removeEventListener('abort', found.listener);
	};
}

function begin(signal: AbortSignal): Watched {
	const callbacks = new Set<() => void>();
	const listener = () => {
		for (const callback of callbacks) callback();
	};
	const found = {callbacks, listener};
	watched.set(signal, found);
	signal.addEventListener('abort', listener);
	return found;
}
