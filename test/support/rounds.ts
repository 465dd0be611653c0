export const isLong = process.env.IPC_TEST_LONG === '1';

/**
 * How often a test repeats what it proves by repetition alone: the first number usually, the second with IPC_TEST_LONG=1 (`npm run
 * test:long`).
 */
export const rounds = (usual: number, long: number): number => (isLong ? long : usual);
