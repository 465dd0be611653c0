/** Stands for what only verbs that run on Node use: to call it here is a defect. */
export const nodeOnly = (name: string) =>
	class {
		constructor() {
			throw new Error(`${name} is not a part of the small runtime`);
		}
	};
