export const isRoot = process.getuid?.() === 0;

export const needsRoot = {skip: !isRoot && 'needs root to become another user'};

/**
 * A user that is neither ours nor privileged, and that no other run of the tests has at the same time: the limits of a user count
 * what all its processes have. A container may have no number above 65,535.
 */
export const anotherUser = 61_000 + Math.floor(Math.random() * 4000);

/** Words before a command that is to run as that user. */
export const asAnother = `setpriv --reuid ${anotherUser} --clear-groups`;
