import {size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';

/** What a FIFO has while it is open, a pipe on a cluster has from the beginning. */
export const clusterAttributes = {
	size: {only: 'cluster', value: size, help: 'on a cluster: how many bytes it stores (default 8M)'},
	replicas: {only: 'cluster', value: wholeNumber(1, 5), help: 'on a cluster: how many servers store it (default 1)'},
} as const;
export const {replicas} = clusterAttributes;
