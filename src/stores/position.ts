/** Where a page of a list begins: after the row of this moment and id. Lists are in the order of both. */
export type Position = { at: Date; id: string }
