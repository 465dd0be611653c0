/** How calls travel on the cluster: see ipc-cluster(7). */

export const subjectOf = (name: string): string => `ipc.call.${name}`;
/** Servers of one name are one group: each message goes to one of them. */
export const queueGroup = 'ipc';

/** A header of a call whose client wants to know, as long as it waits, that its server lives. */
export const signsHeader = 'Ipc-Signs-Of-Life';
/** The status of a message that is not the answer yet: 100 Working. */
export const workingStatus = 100;
export const signIntervalMs = 3000;
/** A server that has been silent for this long has ended, or cannot be reached any more. */
export const longestSilenceMs = 15_000;
